"""Videos whose names mean something to a library: listed and read like any other."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import fsspec
import pytest

from pvtt_flow.errors import DataError
from pvtt_flow.storage.params import InputParams
from pvtt_flow.storage.sources import list_sources
from pvtt_flow.storage.streams import open_binary

if TYPE_CHECKING:
    from tests.conftest import S3Server

NAMES = [
    "x::y.mp4", "a#b.mp4", "q?v=1.mp4", "100%.mp4", "a%20b.mp4", "sp ace.mp4", "ü 商品.mp4",
    "file:x.mp4", "a&b=c.mp4", "+.mp4", "'q'.mp4", '"d".mp4', "{1}.mp4", "[1].mp4", "~.mp4",
    "memory::z.mp4", "e=mc2;v.mp4", "@u.mp4", "tail .mp4",
]  # fmt: skip


@pytest.fixture(params=["local", "s3"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Folder with a video of each name, which has its name as content."""
    if request.param == "local":
        for name in NAMES:
            (tmp_path / name).write_bytes(name.encode())
        return str(tmp_path)
    s3: S3Server = request.getfixturevalue("s3")
    uri, files = s3.bucket(), fsspec.filesystem("s3")
    for name in NAMES:
        files.pipe_file(f"{uri.partition('://')[2]}/{name}", name.encode())
    return uri


def content(uri: str) -> bytes:
    with open_binary(uri) as file:
        return file.read()


def test_a_folder(folder: str) -> None:
    sources = list_sources(InputParams(uri=folder))
    assert [content(source.uri).decode() for source in sources] == sorted(NAMES)
    assert len({source.video_id for source in sources}) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_video_by_its_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "other.mp4").touch()
    (source,) = list_sources(InputParams(uri=f"{tmp_path}/{name}"))
    assert content(source.uri) == name.encode()
    assert list_sources(InputParams(uri=(tmp_path / name).as_uri())) != []


def test_a_manifest(folder: str, tmp_path: Path) -> None:
    manifest = tmp_path / "m.jsonl"
    manifest.write_text("".join(json.dumps({"uri": f"{folder}/{name}"}) + "\n" for name in NAMES))
    sources = list_sources(InputParams(uri=str(manifest)))
    assert [content(source.uri).decode() for source in sources] == NAMES


@pytest.mark.parametrize("name", [b"caf\xe9 mug.mp4", b"\xff\xfe.mp4"])
def test_a_name_that_is_not_utf8(tmp_path: Path, name: bytes) -> None:
    (tmp_path / "good.mp4").write_bytes(b"good")
    Path(tmp_path, os.fsdecode(name)).write_bytes(b"odd")
    sources = list_sources(InputParams(uri=str(tmp_path)))
    for source in sources:
        source.uri.encode()
    assert {content(source.uri) for source in sources} == {b"good", b"odd"}
    (odd,) = (source for source in sources if content(source.uri) == b"odd")
    assert list_sources(InputParams(uri=odd.uri))[0].video_id == odd.video_id
    manifest = tmp_path / "m.jsonl"
    manifest.write_text(json.dumps({"uri": odd.uri}))
    assert [s.uri for s in list_sources(InputParams(uri=str(manifest)))] == [odd.uri]


def test_a_folder_and_frames_that_are_not_utf8(tmp_path: Path) -> None:
    folder = Path(tmp_path, os.fsdecode(b"caf\xe9"))
    folder.mkdir()
    for number in range(2):
        (folder / os.fsdecode(b"\xe9_%d.jpg" % number)).write_bytes(b"%d" % number)
    (source,) = list_sources(InputParams(uri=str(tmp_path), frame_folders=True))
    assert content(source.uri) == b"01"


def test_an_unknown_scheme_is_named(tmp_path: Path) -> None:
    manifest = tmp_path / "m.jsonl"
    manifest.write_text(json.dumps({"uri": "nope://x/y.mp4"}))
    with pytest.raises(Exception, match=r"no filesystem for nope://x/y.mp4") as caught:
        list_sources(InputParams(uri=str(manifest)))
    assert not isinstance(caught.value, DataError)
