"""Listing of local videos."""

import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pvtt_flow.core import ids
from pvtt_flow.errors import PreflightError
from pvtt_flow.storage.params import InputParams
from pvtt_flow.storage.sources import list_sources


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Folder with typical files."""
    root = tmp_path / "videos"
    for name in (
        "b.mp4",
        "a.MOV",
        "empty.mkv",
        "sub/deep/c.webm",
        "notes.txt",
        "raw.dat",
        ".hidden.mp4",
        ".cache/d.mp4",
    ):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"" if "empty" in name else name.encode())
    return root


def names(uri: Path | str, root: Path, **params: Any) -> list[str]:
    sources = list_sources(InputParams(uri=str(uri), **params))
    return [os.path.relpath(source.uri, root) for source in sources]


def test_folder_lists_videos_and_nothing_hidden(folder: Path) -> None:
    assert names(folder, folder) == ["a.MOV", "b.mp4", "empty.mkv", "sub/deep/c.webm"]
    assert names(f"file://{folder}/", folder) == names(folder, folder)


def test_source_has_metadata_without_opening(folder: Path) -> None:
    path = folder / "b.mp4"
    (source,) = list_sources(InputParams(uri=str(path)))
    assert source.uri == str(path)
    assert (source.name, source.video_id) == ("b.mp4", ids.video_id("b.mp4"))
    assert source.size_bytes == len(b"b.mp4")
    assert source.etag == f"{path.stat().st_mtime_ns}-5"


def test_relative_paths_become_absolute(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    assert list_sources(InputParams(uri="videos")) == list_sources(InputParams(uri=str(folder)))


def test_empty_files_are_listed(folder: Path) -> None:
    (source,) = list_sources(InputParams(uri=str(folder / "empty.mkv")))
    assert source.size_bytes == 0
    assert source.etag


def test_file_with_its_full_name_is_a_video_whatever_its_extension(folder: Path) -> None:
    assert names(folder / "notes.txt", folder) == ["notes.txt"]
    assert names(folder / ".hidden.mp4", folder) == [".hidden.mp4"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.mp4", ["b.mp4"]),
        ("*", ["a.MOV", "b.mp4", "empty.mkv"]),
        ("*.dat", ["raw.dat"]),
        ("**/*.webm", ["sub/deep/c.webm"]),
        ("[ab].*", ["a.MOV", "b.mp4"]),
    ],
)
def test_globs(folder: Path, pattern: str, expected: list[str]) -> None:
    assert names(folder / pattern, folder) == expected


def test_name_that_looks_like_a_glob_is_tried_as_a_name_first(folder: Path) -> None:
    (folder / "b[1].mp4").write_bytes(b"x")
    assert names(folder / "b[1].mp4", folder) == ["b[1].mp4"]


def test_more_extensions(folder: Path) -> None:
    assert "raw.dat" in names(folder, folder, extensions=(".DAT",))
    with pytest.raises(ValidationError, match="must be a file extension like 'mp4'"):
        InputParams(uri="x", extensions=("*.dat",))


def test_a_broken_link_is_listed_as_missing(folder: Path) -> None:
    (folder / "gone.mp4").symlink_to(folder / "nowhere")
    sources = {s.uri: s for s in list_sources(InputParams(uri=str(folder)))}
    assert sources[str(folder / "gone.mp4")].etag == ""


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(PreflightError) as caught:
        list_sources(InputParams(uri=str(tmp_path / "nope")))
    assert str(caught.value) == (f"$.input.uri: no videos at {tmp_path}/nope; correct the uri")


def test_a_folder_without_videos_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(PreflightError) as caught:
        list_sources(InputParams(uri=str(tmp_path)))
    assert str(caught.value) == (
        f"$.input.uri: no videos at {tmp_path}: none of its 1 files has a video "
        "extension (264, 265, 3g2, 3gp, 3gpp, apng, asf, avi, divx, dv, f4v, flv, gif, h264, h265, "
        "hevc, insv, ivf, lrv, m1v, m2t, m2ts, m2v, m4v, mjpeg, mjpg, mk3d, mkv, mod, mov, mp4, "
        "mpe, mpeg, mpg, mts, mxf, ogm, ogv, qt, rm, rmvb, tod, trp, ts, vob, webm, wmv, y4m); "
        "correct the uri, or add an extension to $.input.extensions"
    )


def test_a_glob_without_matches(folder: Path) -> None:
    with pytest.raises(PreflightError, match=r"no videos at .*\.avi: none of its 0"):
        list_sources(InputParams(uri=f"{folder}/*.avi"))


def test_an_unknown_scheme() -> None:
    with pytest.raises(PreflightError, match="no filesystem for ftpx://u/v; install the fsspec"):
        list_sources(InputParams(uri="ftpx://me:secret@u/v"))


def test_files_that_are_no_videos_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a.mp4", "b.m2ts", "c.VOB", "d.txt", "e.txt", "f.jpg", "README"):
        (tmp_path / name).touch()
    with caplog.at_level("INFO", "pvtt_flow"):
        assert names(tmp_path, tmp_path) == ["a.mp4", "b.m2ts", "c.VOB"]
    assert (
        f"4 files at {tmp_path} have no video extension and are skipped (2 .txt, 1 .jpg, 1 none); "
        "$.input.extensions adds extensions"
    ) in caplog.messages
    caplog.clear()
    with caplog.at_level("INFO", "pvtt_flow"):
        assert names(tmp_path / "d.txt", tmp_path) == ["d.txt"]
    assert caplog.messages == []
