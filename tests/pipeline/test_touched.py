"""Files that were touched or copied are compared by their content, and only those."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pvtt_flow import load_config, open_dataset, plan
from pvtt_flow.dataset.arrow import to_table
from pvtt_flow.dataset.diff import diff
from pvtt_flow.dataset.history import open_snapshot
from pvtt_flow.dataset.ledger import Ledger, LedgerEntry
from pvtt_flow.pipeline.touched import find_touched
from pvtt_flow.types import Source
from tests.cli.terminal import pvtt_flow
from tests.dataset.datasets import masklets_of, videos_of
from tests.pipeline.runs import sample, write_config
from tests.pipeline.test_plan import SOURCE, entry


def found(source: Source, known: LedgerEntry, content: str) -> tuple[bool, int]:
    """Return whether a source was touched, and how many files were read."""
    read: list[str] = []

    def hashes(uris: Sequence[str]) -> list[str]:
        read.extend(uris)
        return [content for _ in uris]

    touched = find_touched([source], Ledger(to_table(LedgerEntry, [known])), hashes)
    assert touched in (frozenset(), {source.video_id})
    return bool(touched), len(read)


@pytest.mark.parametrize(
    ("source", "known", "content", "expected"),
    [
        (replace(SOURCE, etag="n"), entry(content_hash="blake2b:1"), "blake2b:1", (True, 1)),
        (replace(SOURCE, etag="n"), entry(content_hash="blake2b:1"), "blake2b:2", (False, 1)),
        # It cannot be read.
        (replace(SOURCE, etag="n"), entry(content_hash="blake2b:1"), "", (False, 1)),
        (replace(SOURCE, etag="n"), entry(), "blake2b:1", (False, 0)),
        (SOURCE, entry(content_hash="blake2b:1"), "blake2b:1", (False, 0)),
        (
            replace(SOURCE, etag="n", size_bytes=8),
            entry(content_hash="blake2b:1"),
            "blake2b:1",
            (False, 0),
        ),
        # `input.identity` is `content` now.
        (replace(SOURCE, etag="blake2b:1"), entry(content_hash="blake2b:1"), "", (True, 0)),
        (replace(SOURCE, etag="blake2b:2"), entry(content_hash="blake2b:1"), "", (False, 0)),
    ],
)
def test_only_files_of_equal_size_are_read(
    source: Source, known: LedgerEntry, content: str, expected: tuple[bool, int]
) -> None:
    assert found(source, known, content) == expected


@pytest.mark.slow
def test_a_touched_or_copied_file_is_not_processed_again(tmp_path: Path) -> None:
    video = tmp_path / "videos" / "mug.mp4"
    video.parent.mkdir()
    shutil.copy(sample("one_product.mp4"), video)
    config = write_config(tmp_path / "c.yaml", video.parent, tmp_path / "dataset")
    faster = ("--set", "sampling.stride=24", "--set", "run.contact_sheet_videos=0")
    assert pvtt_flow("run", config, *faster).code == 0
    first = open_dataset(str(tmp_path / "dataset"))
    (before,) = videos_of(first).values()
    assert (before.content_hash or "").startswith("blake2b:")

    os.utime(video, ns=(1, 1))
    assert "nothing to do: 1 unchanged" in pvtt_flow("run", config, *faster).out
    second = open_dataset(first.uri)
    (after,) = videos_of(second).values()
    assert after == replace(before, etag=f"1-{before.size_bytes}", processed_etag=before.etag)
    assert masklets_of(second) == masklets_of(first)
    assert "touched or copied" not in pvtt_flow("plan", config, *faster).out, "the etag is known"
    difference = diff(open_snapshot(first.uri, first.version), open_snapshot(first.uri))
    assert (difference.changed, difference.recomputed) == ((), ())

    moved = tmp_path / "mnt"
    video.parent.rename(moved)
    (moved / "mug.mp4").touch()
    place = (*faster, "--set", f"input.uri={moved}")
    assert pvtt_flow("relocate", first.uri, video.parent, moved).code == 0
    assert "1 with touched or copied" in pvtt_flow("plan", config, *place).out
    content = (moved / "mug.mp4").read_bytes()
    (moved / "mug.mp4").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    (changed,) = plan(load_config(config, place[1::2])).videos
    assert changed.reason == "changed"
