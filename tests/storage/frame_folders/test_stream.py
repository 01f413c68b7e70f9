"""Folder of frames as one stream: its bytes, which pictures are fetched, and its errors."""

import io
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvtt_flow.core.timeline import FrameTime
from pvtt_flow.errors import DataError
from pvtt_flow.storage import retry
from pvtt_flow.storage.frame_folders import stream as frame_stream
from pvtt_flow.storage.frame_folders.stream import FrameStream
from pvtt_flow.storage.streams import open_binary
from pvtt_flow.video.probe import probe
from pvtt_flow.video.read import read_frames, read_frames_at_times
from pvtt_flow.video.scan import scan_video
from tests.video.clip_maker import number_of
from tests.video.frame_folder_maker import write_frame_folder


class Counted:
    """A filesystem of bytes, which remembers what was asked of it."""

    def __init__(self, contents: list[bytes]) -> None:
        self.contents = contents
        self.asked: list[list[str]] = []

    def cat_ranges(
        self, paths: list[str], starts: list[int], stops: list[int], *, on_error: str
    ) -> list[bytes]:
        assert on_error == "raise"
        self.asked.append(paths)
        return [self.contents[int(p)][a:b] for p, a, b in zip(paths, starts, stops, strict=True)]


def stream_of(contents: list[bytes]) -> tuple[FrameStream, Counted]:
    files = Counted(contents)
    pictures = [(str(i), len(content)) for i, content in enumerate(contents)]
    return FrameStream(files, pictures, "jpeg", Fraction(25)), files


@given(
    st.lists(st.binary(max_size=40), min_size=1, max_size=12),
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 60)), max_size=12),
    st.integers(1, 30),
)
def test_it_reads_as_one_file(
    contents: list[bytes], jumps: list[tuple[int, int]], window_bytes: int
) -> None:
    whole = b"".join(content or b"\0" for content in contents)
    stream, _ = stream_of(contents)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frame_stream, "_WINDOW_BYTES", window_bytes)
        assert stream.seek(0, io.SEEK_END) == len(whole)
        assert stream.read(1) == b""
        for position, num_bytes in jumps:
            assert stream.seek(position) == position
            data = stream.read(num_bytes)
            assert data == whole[position : position + len(data)]
            # Less than asked for, as raw files may give, but something where there is something.
            assert bool(data) == (num_bytes > 0 and position < len(whole))
        stream.seek(0)
        assert stream.read() == whole


def test_pictures_read_in_turn_are_fetched_side_by_side_within_bounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream, files = stream_of([bytes(10)] * 50)
    stream.read()
    assert [len(paths) for paths in files.asked] == [1, 2, 4, 8, 16, 16, 3]
    monkeypatch.setattr(frame_stream, "_WINDOW_BYTES", 25)
    stream, files = stream_of([bytes(10)] * 50)
    stream.read()
    assert max(len(paths) for paths in files.asked) == 3


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_frame_folder(tmp_path_factory.mktemp("frames") / "mug", range(1000), quality=75)


def test_a_seek_in_a_thousand_frames_reads_a_few(
    frames: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    pieces = FrameStream._pieces

    def counted(self: FrameStream, position: int, at_once: int) -> Iterator[frame_stream._Piece]:
        for piece in pieces(self, position, at_once):
            read.append(piece.picture)
            yield piece

    monkeypatch.setattr(FrameStream, "_pieces", counted)
    with open_binary(f"{frames}/#fps=50") as file:
        video = probe(file, size_bytes=1)
    assert read == [0]
    read.clear()
    with open_binary(f"{frames}/#fps=50") as file:
        wanted = [FrameTime(i, 20_000_000 * i) for i in (500, 501, 998)]
        found = list(read_frames_at_times(file, wanted, video=video))
    assert [number_of(frame.rgb) for frame in found] == [500 % 256, 501 % 256, 998 % 256]
    assert len(read) <= 12
    read.clear()
    with open_binary(f"{frames}/#fps=50") as file:
        assert len(scan_video(file, video=video, detect_cuts=False).times_ns) == 1000
    assert sorted(read) == list(range(1000)), "each picture is fetched once"


@pytest.mark.parametrize("where", ["memory", "s3"])
def test_a_bucket_has_the_same_frames(
    request: pytest.FixtureRequest, tmp_path: Path, where: str
) -> None:
    folder = write_frame_folder(tmp_path / "mug", [7, 8, 10, 100], "f_{}.png")
    root = f"memory://{tmp_path.name}"
    if where == "s3":
        root = request.getfixturevalue("s3").bucket()
    for path in folder.iterdir():
        with fsspec.open(f"{root}/mug/{path.name}", "wb") as file:
            file.write(path.read_bytes())
    with open_binary(f"{root}/mug/#fps=10") as file:
        found = [(number_of(f.rgb), f.pts_ns // 1_000_000) for f in read_frames(file)]
    assert found == [(7, 0), (8, 100), (10, 200), (100, 300)]


def test_reads_that_fail_are_repeated(
    frames: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(retry, "RETRY_DEADLINE_S", 5)
    fetched, errors = FrameStream._fetch, [ConnectionResetError(), TimeoutError()]

    def faulty(self: FrameStream, position: int, at_once: int) -> bytes:
        if errors:
            raise errors.pop()
        return fetched(self, position, at_once)

    monkeypatch.setattr(FrameStream, "_fetch", faulty)
    with open_binary(f"{frames}/#fps=25") as file:
        assert number_of(next(read_frames(file)).rgb) == 0
    assert caplog.text.count("trying again") == 2


def test_pictures_that_change_while_they_are_read(tmp_path: Path) -> None:
    folder = write_frame_folder(tmp_path / "mug")
    with open_binary(f"{folder}/#fps=25") as file:
        (folder / "00003.jpg").write_bytes(b"short")
        with pytest.raises(DataError, match=r"00003.jpg must have the .* bytes that were listed"):
            file.read()
    write_frame_folder(folder)
    with open_binary(f"{folder}/#fps=25") as file:
        (folder / "00003.jpg").unlink()
        with pytest.raises(DataError, match="no file at") as caught:
            list(read_frames(file))
    assert caught.value.kind == "unreadable"


def test_what_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def kind_of(folder: Path) -> str:
        with pytest.raises(DataError) as caught, open_binary(f"{folder}/#fps=25"):
            pass
        return caught.value.kind

    assert kind_of(tmp_path / "nope") == "unreadable"
    assert kind_of(tmp_path) == "not_a_video"
    mixed = write_frame_folder(tmp_path / "mixed", [1])
    (mixed / "2.png").touch()
    assert kind_of(mixed) == "not_a_video"
    linked = write_frame_folder(tmp_path / "linked")
    (linked / "00009.jpg").symlink_to(linked / "nowhere")
    assert kind_of(linked) == "unreadable"
    many = write_frame_folder(tmp_path / "many")
    monkeypatch.setattr(frame_stream, "MAX_PICTURE_BYTES", 100)
    assert kind_of(many) == "over_limit"
    monkeypatch.setattr(frame_stream, "MAX_FRAMES", 5)
    assert kind_of(many) == "over_limit"
