"""A disk that gets full, at whatever write: one clear error, and nothing half done."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pvtt_flow import open_dataset
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.readme import NAME, TEXT
from pvtt_flow.errors import PvttFlowError
from pvtt_flow.storage.files import write_bytes
from tests.dataset.dataset_rows import masklet, video_record
from tests.dataset.datasets import masklets_of, publish_videos, videos_of
from tests.disks import Disk, small_disk

NO_SPACE = "cannot be written (No space left on device); free some space, then run again"
MAX_PAGES = 64
# So many that their entry in the log takes several pages.
VIDEOS = [f"video-{n}" for n in range(40)]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with small_disk(tmp_path / "disk", size_mib=8) as made:
        yield made


@pytest.fixture
def dataset(disk: Disk) -> Dataset:
    return Dataset(str(disk.path / "dataset"))


def refusals(disk: Disk, action: Callable[[], object]) -> Iterator[str]:
    """Return the errors with no page left, with one, with two, and so on until they suffice."""
    for pages in range(MAX_PAGES):
        disk.fill(pages_left=pages)
        try:
            action()
        except PvttFlowError as error:
            yield str(error)
        else:
            disk.make_room()
            return
    pytest.fail(f"{MAX_PAGES} pages are not enough")


def check_whole(dataset: Dataset) -> None:
    """Whatever is there can be read to its end."""
    for path in Path(dataset.uri).rglob("*"):
        if path.suffix == ".parquet":
            pq.read_table(path)
        elif path.name == NAME:
            assert path.read_text() == TEXT
        elif path.is_file():
            assert path.suffix == ".json", "nothing else is left"
            assert [json.loads(line) for line in path.read_text().splitlines()]


def test_when_the_tables_are_made(disk: Disk, dataset: Dataset) -> None:
    said = set(refusals(disk, dataset.ensure))
    assert said
    what = ("", "a file must be written, but ")
    starts = tuple(f"$.output.uri: {text}{dataset.uri}" for text in what)
    assert all(text.startswith(starts) for text in said)
    assert all(NO_SPACE in text for text in said)
    check_whole(dataset)
    publish_videos(dataset, "ab")
    assert sorted(videos_of(dataset)) == ["a", "b"]


def test_when_a_worker_writes(disk: Disk, dataset: Dataset) -> None:
    dataset.ensure()
    rows = [masklet("a", number) for number in range(100)]
    said = list(refusals(disk, lambda: dataset.write_masklets(rows)))
    assert all(text.startswith("$.output.uri: rows must be written, but ") for text in said)
    assert all(NO_SPACE in text for text in said)
    check_whole(dataset)


def test_when_the_driver_commits(disk: Disk, dataset: Dataset) -> None:
    dataset.ensure()
    publish_videos(dataset, "ab")
    before = masklets_of(dataset), videos_of(dataset)
    files = dataset.write_masklets([masklet(video) for video in VIDEOS])
    records = [video_record(video) for video in VIDEOS]
    places = set()
    for text in refusals(disk, lambda: dataset.commit(files, records, run_id="r2")):
        assert text.startswith(("$.output.uri: rows must be ", "$.output.uri: a commit must "))
        assert NO_SPACE in text
        places.add(text.partition(f"{dataset.uri}/")[2].rpartition("/")[0])
        check_whole(dataset)
        latest = open_dataset(dataset.uri)
        assert (masklets_of(latest), videos_of(latest)) == before
    assert places == {"videos", "masklets/_delta_log", "videos/_delta_log"}, "each of its writes"
    check_whole(dataset)
    assert videos_of(dataset).keys() == {"a", "b", *VIDEOS}
    assert len(masklets_of(dataset)) == 2 + len(VIDEOS)


def test_when_the_run_is_recorded(disk: Disk, dataset: Dataset) -> None:
    dataset.ensure()
    record = json.dumps(list(range(5000))).encode()
    uri = f"{dataset.uri}/runs/r1.json"
    for text in refusals(disk, lambda: write_bytes(uri, record)):
        assert text == f"$.output.uri: a file must be written, but {uri} {NO_SPACE}"
        assert not Path(uri).exists()
    assert Path(uri).read_bytes() == record
