"""Mutated files cause no crash and no hang, take bounded memory, and fail with a known kind."""

import json
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import pytest

from tests.video.codec_samples import write_codec_samples
from tests.video.damage_outcomes import DamageOutcome

ROOT = Path(__file__).parents[2]
BATCH = 50
NUM_PROCESSES = 2
# A process that has read one good clip has 95 MB.
MAX_BYTES = 400_000_000
KINDS = {"", "empty_file", "not_a_video", "no_video_stream", "undecodable", "over_limit"}


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    write_codec_samples(folder)
    return folder


def batch(folder: Path, start: int) -> list[DamageOutcome]:
    """Return the outcomes of one child's files; fails with the traceback of a crash or a hang."""
    command = [
        sys.executable,
        "-m",
        "tests.video.damage_outcomes",
        str(folder),
        str(start),
        str(start + BATCH),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=200, cwd=ROOT
    )
    outcomes = [DamageOutcome(**json.loads(line)) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"file {start + len(outcomes)} ended it: {done.stderr}"
    return outcomes


def check(folder: Path, num_files: int) -> None:
    starts = range(0, num_files, BATCH)
    with ThreadPoolExecutor(NUM_PROCESSES) as children:
        batches = children.map(lambda start: batch(folder, start), starts)
        outcomes = list(chain.from_iterable(batches))
    assert [outcome.seed for outcome in outcomes] == list(range(num_files))
    assert [outcome for outcome in outcomes if outcome.kind not in KINDS] == []
    assert [
        outcome for outcome in outcomes if len(outcome.message.splitlines()) != bool(outcome.kind)
    ] == []
    assert max(outcome.peak_bytes for outcome in outcomes) < MAX_BYTES
    # Mutations are neither harmless nor fatal in most cases.
    counts = Counter(outcome.kind for outcome in outcomes)
    assert min(counts[""], counts["undecodable"], counts["not_a_video"]) > num_files / 10
    assert sum(outcome.num_frames > 0 for outcome in outcomes) > num_files / 4


def test_100_damaged_files(samples: Path) -> None:
    check(samples, 100)


@pytest.mark.slow
def test_2000_damaged_files(samples: Path) -> None:
    check(samples, 2000)
