"""Listing folders and manifests that have files which cannot be opened."""

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import fsspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pvtt_flow.errors import ConfigError, DataError
from pvtt_flow.storage.params import InputParams
from pvtt_flow.storage.sources import list_sources
from pvtt_flow.storage.streams import open_binary
from pvtt_flow.types import Source

if TYPE_CHECKING:
    from tests.conftest import S3Server

NAMES = st.binary(min_size=1, max_size=250).filter(
    lambda name: not set(b"/\0") & set(name) and not name.startswith(b".")
)
TEXTS = st.text(st.characters(), min_size=1, max_size=60)


def _socket(path: Path) -> None:
    # A socket's name is short; that of a folder of a test may not be.
    folder = os.open(path.parent, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(f"/proc/self/fd/{folder}/{path.name}")
    os.close(folder)


def _chain(path: Path) -> None:
    """Make more links in a row than Linux follows."""
    target = "good.mp4"
    for number in range(41):
        target = os.fspath(_linked(path.with_name(f"link{number}"), target).name)
    path.symlink_to(target)


def _linked(path: Path, target: str) -> Path:
    path.symlink_to(target)
    return path


MAKERS: dict[str, Callable[[Path], object]] = {
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a chain of links": _chain,
    "a link to nothing": lambda path: path.symlink_to("nothing"),
    "a link into a file": lambda path: path.symlink_to("good.mp4/x"),
    "a link to a long name": lambda path: path.symlink_to("x" * 300),
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "a pipe": os.mkfifo,
    "a socket": _socket,
}


def listed(uri: object) -> dict[str, Source]:
    return {Path(s.uri).name: s for s in list_sources(InputParams(uri=str(uri)))}


@pytest.mark.parametrize("what", MAKERS)
def test_what_cannot_be_opened_is_listed_and_becomes_a_failure(tmp_path: Path, what: str) -> None:
    (tmp_path / "good.mp4").write_bytes(b"good")
    MAKERS[what](tmp_path / "odd.mp4")
    MAKERS[what](tmp_path / "sub.txt") if what != "a chain of links" else None
    (tmp_path / "m.jsonl").write_text('{"uri": "good.mp4"}\n{"uri": "odd.mp4"}\n')
    for uri in (tmp_path, tmp_path / "*.mp4", tmp_path / "m.jsonl"):
        sources = listed(uri)
        assert sorted(sources) == ["good.mp4", "odd.mp4"]
        assert sources["good.mp4"].etag
        assert (sources["odd.mp4"].etag, sources["odd.mp4"].size_bytes) == ("", 0)
    with pytest.raises(DataError) as caught, open_binary(sources["odd.mp4"].uri):
        pass
    assert caught.value.kind == "unreadable"


def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "good.mp4").write_bytes(b"good")
    (tmp_path / "sub" / "up.mp4").symlink_to("..")
    (tmp_path / "folder.mp4").mkdir()
    assert list(listed(tmp_path)) == ["good.mp4"]


def test_a_folder_that_cannot_be_read_is_skipped_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Refuse one folder, as `lost+found` is; root could read a real one."""
    (tmp_path / "good.mp4").write_bytes(b"good")
    (tmp_path / "closed").mkdir()
    scandir = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert list(listed(tmp_path)) == ["good.mp4"]
    assert f"access to {tmp_path}/closed was refused; check the file's permissions" in (
        caplog.messages
    )


@given(st.lists(NAMES, min_size=1, max_size=3))
def test_a_folder_with_files_of_any_name(names: list[bytes]) -> None:
    with TemporaryDirectory() as folder:
        Path(folder, "good.mp4").write_bytes(b"good")
        for name in names:
            Path(folder, os.fsdecode(name + b".mp4")).write_bytes(name)
        contents = set()
        for source in list_sources(InputParams(uri=folder)):
            source.uri.encode()
            with open_binary(source.uri) as file:
                contents.add(file.read())
        assert contents == {b"good", *names}


@pytest.mark.slow
@settings(max_examples=25)
# SeaweedFS takes a backslash for a slash.
@given(name=st.text(st.characters(codec="utf-8", exclude_characters="/\\\0"), max_size=40))
def test_a_bucket_with_objects_of_any_name(s3: "S3Server", name: str) -> None:
    uri, files = s3.bucket(), fsspec.filesystem("s3")
    keys = [f"{uri.removeprefix('s3://')}/{key}" for key in ("good.mp4", f"a{name}.mp4")]
    for key in keys:
        try:
            files.pipe_file(key, key.encode())
        except (OSError, ValueError):  # a name that this store does not take
            assert key != keys[0]
            keys.remove(key)
    contents = set()
    for source in list_sources(InputParams(uri=uri)):
        with open_binary(source.uri) as file:
            contents.add(file.read().decode())
    assert contents == set(keys)


@pytest.mark.parametrize("uri", ["a" * 300 + ".mp4", "~nosuchuser/x.mp4", "a\nb.mp4", " "])
def test_a_line_without_a_file_is_a_missing_video(tmp_path: Path, uri: str) -> None:
    (tmp_path / "good.mp4").write_bytes(b"good")
    lines = ({"uri": "good.mp4"}, {"uri": uri})
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    good, odd = list_sources(InputParams(uri=str(tmp_path / "m.jsonl")))
    assert good.etag
    assert (odd.uri, odd.etag) == (f"{tmp_path}/{uri}", "")


@pytest.mark.parametrize("key", ["k" * 2000 + ".mp4", "\x01.mp4", "a/../b.mp4", "folder/"])
def test_a_line_without_an_object_is_a_missing_video(
    s3: "S3Server", tmp_path: Path, key: str
) -> None:
    bucket = s3.bucket()
    fsspec.filesystem("s3").pipe_file(f"{bucket}/good.mp4", b"good")
    lines = ({"uri": f"{bucket}/good.mp4"}, {"uri": f"{bucket}/{key}"}, {"uri": "s3://B a d/x"})
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    good, *odd = list_sources(InputParams(uri=str(tmp_path / "m.jsonl")))
    assert good.etag
    assert [source.etag for source in odd] == ["", ""]


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        ("", "uri must have at least 1 character"),
        ("a\0b.mp4", "uri must have no NUL character"),
        ("file:///a%00b.mp4", "uri must have no NUL character"),
        ("s3://", "uri must name a video after ://"),
        ("file://", "uri must name a video after ://"),
        ("s3://bucket", "uri must name an object in the bucket"),
        ("s3://bucket/", "uri must name an object in the bucket"),
        ("http://[bad", "uri must be a valid URL (Invalid IPv6 URL)"),
        ("http://h:99999/a.mp4", "uri must be a valid URL (Port out of range 0-65535)"),
        ("https:///a.mp4", "uri must name a host"),
    ],
)
def test_a_line_that_can_name_no_video_is_refused(tmp_path: Path, uri: str, problem: str) -> None:
    manifest = tmp_path / "m.jsonl"
    manifest.write_text('{"uri": "good.mp4"}\n' + json.dumps({"uri": uri}))
    with pytest.raises(ConfigError) as caught:
        list_sources(InputParams(uri=str(manifest)))
    assert str(caught.value) == f"$.input.uri: manifest {manifest} line 2: {problem}, got {uri!r}"


@given(TEXTS)
def test_a_line_of_any_text_is_a_video_or_refused_by_its_number(text: str) -> None:
    with TemporaryDirectory() as folder:
        Path(folder, "good.mp4").write_bytes(b"good")
        manifest = Path(folder, "m.jsonl")
        manifest.write_text('{"uri": "good.mp4"}\n' + json.dumps({"uri": text}))
        try:
            good, odd = list_sources(InputParams(uri=str(manifest)))
        except ConfigError as error:
            assert f"{manifest} line 2" in str(error)  # noqa: PT017
        else:
            assert good.etag
            assert not odd.etag
            odd.uri.encode()
