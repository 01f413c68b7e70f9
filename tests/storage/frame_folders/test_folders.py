"""Listing of frame folders: local, in memory, and on a real S3 server."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest

from pvtt_flow.errors import PreflightError
from pvtt_flow.readers.source_frames import check_same
from pvtt_flow.storage.frame_folders import folders
from pvtt_flow.storage.listing import stat_all
from pvtt_flow.storage.params import InputParams
from pvtt_flow.storage.sources import list_sources
from pvtt_flow.types import Source

NAMES = (
    "mug/00000.jpg",
    "mug/00001.jpg",
    "mug/00010.jpg",
    "mug/cover.jpg",
    "deep/er/pan_9.PNG",
    "deep/er/pan_10.PNG",
    "still/1.jpg",
    "clip.mp4",
    ".trash/0.jpg",
    ".trash/1.jpg",
)
VIDEOS = ["clip.mp4", "deep/er/#fps=25", "mug/#fps=25"]


@pytest.fixture
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Root of a tree with typical files."""
    places: dict[str, Callable[[], str]] = {
        "local": lambda: str(tmp_path),
        "memory": lambda: f"memory:///{tmp_path.name}",
        "s3": lambda: request.getfixturevalue("s3").bucket(),
    }
    uri = places[request.param]()
    for name in NAMES:
        put(f"{uri}/{name}", name.encode())
    return uri


def put(uri: str, content: bytes) -> None:
    with fsspec.open(uri, "wb", auto_mkdir=True) as file:
        file.write(content)


def listed(uri: str, **params: Any) -> dict[str, Source]:
    """Return the sources by their uris below the folder."""
    sources = list_sources(InputParams(uri=uri, **{"frame_folders": True, **params}))
    start = uri.partition("*")[0].rstrip("/")
    return {source.uri.removeprefix(f"{start}/"): source for source in sources}


@pytest.mark.parametrize("root", ["local", "memory", "s3"], indirect=True)
def test_frame_folders_are_listed_as_videos(root: str) -> None:
    assert sorted(listed(root)) == VIDEOS
    assert sorted(listed(root, frame_folders=False)) == ["clip.mp4"]
    # As stills they would be videos of their own.
    assert sorted(listed(root, extensions=["jpg"])) == sorted(
        [*VIDEOS, "mug/cover.jpg", "still/1.jpg"]
    )
    mug = listed(root)["mug/#fps=25"]
    assert mug.size_bytes == 3 * len("mug/00000.jpg")
    assert mug.video_id.startswith("mug-")
    # What is found on the way is what is found by its name, and by a glob for some of it.
    assert stat_all([mug.uri])[0].etag == mug.etag
    assert listed(f"{root}/*/0000?.jpg")["mug/#fps=25"].etag == mug.etag
    (named,) = list_sources(InputParams(uri=mug.uri))
    assert (named.video_id, named.etag) == (mug.video_id, mug.etag)


@pytest.mark.parametrize("root", ["local", "memory"], indirect=True)
def test_etag_follows_pictures(root: str) -> None:
    def etag() -> str:
        return listed(root)["mug/#fps=25"].etag

    etags = [etag()]
    put(f"{root}/mug/00001.jpg", b"MUG/00001.JPG!")
    etags.append(etag())
    put(f"{root}/mug/00002.jpg", b"")
    etags.append(etag())
    files, path = fsspec.url_to_fs(f"{root}/mug/00000.jpg", use_listings_cache=False)
    files.rm(path)
    etags.append(etag())
    assert len(set(etags)) == 4
    put(f"{root}/mug/notes.txt", b"x")
    assert etag() == etags[-1]


@pytest.mark.parametrize("root", ["local", "memory"], indirect=True)
def test_etag_follows_the_rate_and_the_id_does_not(root: str) -> None:
    slow, fast = listed(root)["mug/#fps=25"], listed(root, frames_fps=29.97)["mug/#fps=29.97"]
    assert slow.video_id == fast.video_id
    assert slow.etag != fast.etag
    check_same(fast.uri, {"uri": fast.uri, "etag": fast.etag, "size_bytes": fast.size_bytes})


def test_manifest_lists_frame_folders(tmp_path: Path) -> None:
    for name in NAMES:
        put(f"{tmp_path}/{name}", name.encode())
    rows = ("mug/,m", "deep/er/#fps=24.0,", "nope/,n", "clip.mp4/,c", "still/,s")
    (tmp_path / "m.csv").write_text("\n".join(("uri,id", *rows)))
    sources = list_sources(InputParams(uri=f"{tmp_path}/m.csv", frames_fps=12.5))
    mug, pan, nope, clip, still = sources
    assert (mug.uri, mug.video_id) == (f"{tmp_path}/mug/#fps=12.5", "m")
    assert (pan.uri, pan.size_bytes) == (f"{tmp_path}/deep/er/#fps=24", 35)
    assert pan.video_id == listed(str(tmp_path))["deep/er/#fps=25"].video_id
    assert (nope.etag, clip.etag) == ("", "")
    assert still.size_bytes == len("still/1.jpg")


def test_error_names_the_key_for_frame_folders(tmp_path: Path) -> None:
    for name in NAMES[:2]:
        put(f"{tmp_path}/{name}", b"")
    with pytest.raises(
        PreflightError, match=r"to read folders .*\(here: 1\), set .*frame_folders to true"
    ):
        list_sources(InputParams(uri=str(tmp_path)))


@pytest.mark.parametrize("name", ["nope/#fps=25", "still/#fps=0", "docs/#fps=25"])
def test_folder_without_frames_is_refused(tmp_path: Path, name: str) -> None:
    put(f"{tmp_path}/still/1.jpg", b"")
    put(f"{tmp_path}/docs/a.txt", b"")
    with pytest.raises(PreflightError, match=f"no videos at {tmp_path}/{name}"):
        list_sources(InputParams(uri=f"{tmp_path}/{name}"))


def test_listing_a_huge_folder_stops_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "MAX_FRAMES", 3)
    for number in range(9):
        (tmp_path / f"{number}.jpg").touch()
    assert len(folders.list_frames(str(tmp_path))) == 4
