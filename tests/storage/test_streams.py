"""Reading by ranges, locally and from a real S3 server."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
import s3fs

from pvtt_flow.errors import DataError
from pvtt_flow.storage.streams import BLOCK_BYTES, open_binary

if TYPE_CHECKING:
    from tests.conftest import S3Server

BIG_BYTES = 12 * BLOCK_BYTES
BigFile = tuple[str, str, bytes]
"""Local path, uri in a bucket, and bytes."""


@pytest.fixture(scope="module")
def big(s3: "S3Server", tmp_path_factory: pytest.TempPathFactory) -> BigFile:
    """Make a big local file and the same object in a bucket."""
    content = bytes(range(256)) * (BIG_BYTES // 256)
    path = tmp_path_factory.mktemp("big") / "big.mp4"
    path.write_bytes(content)
    return str(path), s3.put(path, f"{s3.bucket()}/big.mp4"), content


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the ranges that are requested from S3."""
    sizes: list[int] = []
    fetch = s3fs.core.S3File._fetch_range

    def counting(self: s3fs.core.S3File, start: int, end: int) -> Any:
        sizes.append(end - start)
        return fetch(self, start, end)

    monkeypatch.setattr(s3fs.core.S3File, "_fetch_range", counting)
    return sizes


@pytest.mark.parametrize("which", [0, 1], ids=["local", "s3"])
def test_read_seek_and_tell(big: BigFile, which: Literal[0, 1]) -> None:
    content = big[2]
    with open_binary(big[which]) as stream:
        assert stream.seekable()
        assert stream.readable()
        assert stream.read(10) == content[:10]
        assert stream.tell() == 10
        assert stream.seek(-100, io.SEEK_END) == len(content) - 100
        assert stream.read() == content[-100:]
        assert stream.read(1) == b""
        stream.seek(BLOCK_BYTES - 5)
        assert stream.read(10) == content[BLOCK_BYTES - 5 : BLOCK_BYTES + 5]


def test_reading_the_last_bytes_fetches_one_block(big: BigFile, fetched: list[int]) -> None:
    with open_binary(big[1]) as stream:
        stream.seek(-100, io.SEEK_END)
        stream.read(100)
    assert sum(fetched) <= BLOCK_BYTES


def test_jumping_between_positions_fetches_each_block_once(
    big: BigFile, fetched: list[int]
) -> None:
    """Read as a demuxer does: the index at the end, the frames before it."""
    with open_binary(big[1]) as stream:
        for place in (0, BIG_BYTES - 50, 5, BIG_BYTES - 40, BLOCK_BYTES // 2, BIG_BYTES - 30):
            stream.seek(place)
            stream.read(10)
    assert sum(fetched) <= 2 * BLOCK_BYTES


def test_a_missing_object(s3: "S3Server", tmp_path: Path) -> None:
    bucket = s3.bucket()
    for uri in (str(tmp_path / "no.mp4"), f"{bucket}/no.mp4", "s3://no-such-bucket-here/no.mp4"):
        with pytest.raises(DataError) as caught, open_binary(uri):
            pass
        assert caught.value.kind == "unreadable"
        assert "no file at" in str(caught.value) or "must exist" in str(caught.value)


def test_object_that_disappears_during_reading(s3: "S3Server", tmp_path: Path) -> None:
    path = tmp_path / "x.mp4"
    path.write_bytes(bytes(4 * BLOCK_BYTES))
    uri = s3.put(path, f"{s3.bucket()}/x.mp4")
    with open_binary(uri) as stream:
        stream.read(10)
        s3fs.S3FileSystem(skip_instance_cache=True).rm_file(uri)
        stream.seek(-10, io.SEEK_END)
        with pytest.raises(DataError, match="no file at s3://") as caught:
            stream.read(10)
    assert caught.value.kind == "unreadable"


def test_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe.mp4")
    with (
        pytest.raises(DataError, match="not a regular file"),
        open_binary(str(tmp_path / "pipe.mp4")),
    ):
        pass


def test_errors_of_the_caller_pass_unchanged(big: BigFile) -> None:
    with pytest.raises(ValueError, match="mine"), open_binary(big[0]):
        raise ValueError("mine")
