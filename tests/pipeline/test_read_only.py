"""Places that can only be read: fine to look at, refused as an output before any work."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pvtt_flow import open_dataset
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.history import history
from pvtt_flow.storage.filesystems import filesystem
from tests.cli.terminal import pvtt_flow
from tests.dataset.datasets import masklets_of, publish_videos
from tests.disks import small_disk
from tests.pipeline.runs import sample, write_config

if TYPE_CHECKING:
    from tests.conftest import S3Server


@dataclass(frozen=True)
class Place:
    """Location of a dataset that exists or may be created."""

    uri: str
    read_only: AbstractContextManager[None]
    refusal: str


@pytest.fixture(params=["disk", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "disk":
        with small_disk(tmp_path / "disk", size_mib=4) as disk:
            refusal = "cannot be written (Read-only file system); mount it for writing, or correct"
            yield Place(str(disk.path), disk.read_only(), refusal)
    else:
        s3: S3Server = request.getfixturevalue("s3")
        yield Place(s3.bucket(), s3.read_only(), "was refused (AccessDenied); check AWS_ACCESS")


def everything_at(uri: str) -> list[str]:
    files, path = filesystem(uri)
    return sorted(files.find(path))


@pytest.mark.parametrize("there", [True, False], ids=["a dataset", "no dataset"])
def test_an_output_is_refused_before_any_work(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, there: bool
) -> None:
    uri = f"{place.uri}/dataset"
    if there:
        dataset = Dataset(uri)
        dataset.ensure()
        publish_videos(dataset, "ab")
    before = everything_at(place.uri)
    config = write_config(tmp_path / "c.yaml", sample("one_product.mp4"), uri)
    # Ray would be the first to work.
    monkeypatch.setattr(
        "pvtt_flow.pipeline.process.connect_to_ray", lambda: pytest.fail("work has begun")
    )
    with place.read_only:
        ended = pvtt_flow("run", config)
    assert ended.code == 2, ended.out + ended.err
    (error,) = ended.err.splitlines()
    assert error.startswith("error: $.output.uri: a file must be written, but ")
    assert place.refusal in error
    assert everything_at(place.uri) == before


def test_a_dataset_can_be_looked_at(place: Place) -> None:
    dataset = Dataset(f"{place.uri}/dataset")
    dataset.ensure()
    publish_videos(dataset, "ab")
    rows = masklets_of(dataset)
    with place.read_only:
        assert masklets_of(open_dataset(dataset.uri)) == rows
        assert masklets_of(open_dataset(dataset.uri, 0)) == []
        assert [version.version for version in history(dataset.uri)] == [1, 0]
        for command in ("show", "history"):
            ended = pvtt_flow(command, dataset.uri)
            assert ended.code == 0, ended.err
