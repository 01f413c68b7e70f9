"""Relocation of videos: uris change, ids and results stay."""

from pathlib import Path

import pytest

from pvtt_flow import open_dataset, relocate
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.history import history
from pvtt_flow.errors import ConfigError, PreflightError
from tests.cli.terminal import pvtt_flow
from tests.dataset.datasets import masklets_of, new_dataset, publish_videos, videos_of


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Dataset of videos at /videos, and one elsewhere."""
    made = new_dataset(tmp_path)
    publish_videos(made, "ab", input_uri="/videos")
    publish_videos(made, "c", uri="/videos-2/c.mp4", input_uri="/videos-2")
    publish_videos(made, "d", uri="/videos/sub/mug/#fps=25", input_uri="/videos/m.csv")
    return made


def uris(dataset: Dataset) -> dict[str, tuple[str, str]]:
    return {i: (row.uri, row.input_uri) for i, row in videos_of(dataset).items()}


def test_uris_and_inputs_follow(dataset: Dataset) -> None:
    before, masklets = videos_of(dataset), masklets_of(dataset)
    relocated = relocate(dataset.uri, "/videos/", "s3://bucket/in/")
    assert uris(dataset) == {
        "a": ("s3://bucket/in/a.mp4", "s3://bucket/in"),
        "b": ("s3://bucket/in/b.mp4", "s3://bucket/in"),
        "c": ("/videos-2/c.mp4", "/videos-2"),
        "d": ("s3://bucket/in/sub/mug/#fps=25", "s3://bucket/in/m.csv"),
    }
    assert (relocated.num_videos, relocated.num_left) == (3, 0)
    assert relocated.version == open_dataset(dataset.uri).version
    assert masklets_of(dataset) == masklets
    latest = history(dataset.uri, 1)[0]
    assert (latest.operation, latest.notes) == (
        "relocate", {"from": "/videos", "to": "s3://bucket/in"}
    )  # fmt: skip
    relocate(dataset.uri, "s3://bucket/in", "/videos")
    assert videos_of(dataset) == before


def test_a_dry_run_changes_nothing(dataset: Dataset) -> None:
    before = videos_of(dataset)
    ended = pvtt_flow("relocate", dataset.uri, "/videos", "/mnt", "--dry-run")
    assert ended.out == ("3 videos would be relocated; version 3\n/videos/a.mp4 -> /mnt/a.mp4\n"), (
        ended.err
    )
    assert videos_of(dataset) == before
    assert pvtt_flow("relocate", dataset.uri, "/videos", "/mnt").out.startswith(
        "3 videos relocated; version 4\n"
    )


def test_no_two_videos_get_one_uri(dataset: Dataset) -> None:
    publish_videos(dataset, "x", uri="/mnt/a.mp4")
    ended = pvtt_flow("relocate", dataset.uri, "/videos", "/mnt")
    assert "1 videos stay at /videos, since the dataset already has videos" in ended.out
    assert uris(dataset)["a"] == ("/videos/a.mp4", "/videos")
    assert uris(dataset)["b"] == ("/mnt/b.mp4", "/mnt")


def test_a_name_that_is_not_utf8(dataset: Dataset) -> None:
    publish_videos(dataset, "e", uri="file:///videos/caf%E9.mp4")
    relocate(dataset.uri, "/videos", "/mnt/ü")
    assert uris(dataset)["e"][0] == "file:///mnt/%C3%BC/caf%E9.mp4"


def test_an_old_place_without_videos_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"OLD_PREFIX must be the place of a video in .*, got /vi"
    ):
        relocate(dataset.uri, "/vid", "/mnt")
    with pytest.raises(PreflightError, match="has no table 'videos'"):
        relocate(str(tmp_path / "none"), "/videos", "/mnt")
