"""Videos on a web server: one by its uri, signed ones, and changes without an ETag."""

import gzip
import json
import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pvtt_flow.errors import DataError, PreflightError
from pvtt_flow.storage import filesystems, manifest_rows, retry
from pvtt_flow.storage.manifest import read_manifest
from pvtt_flow.storage.object_info import remote
from pvtt_flow.storage.params import InputParams
from pvtt_flow.storage.sources import list_sources
from pvtt_flow.storage.streams import open_binary
from pvtt_flow.video.limits import Limits
from pvtt_flow.video.probe import probe
from pvtt_flow.video.worker.content_hash import content_hash
from pvtt_flow.video.worker.decoder import Decoder, InProcessDecoder, IsolatedDecoder
from pvtt_flow.video.worker.pool import SHARED_POOL
from tests.disks import small_disk
from tests.video.clip_maker import write_clip


class Server(SimpleHTTPRequestHandler):
    """Server of a folder; files named `private` need a signature."""

    def do_GET(self) -> None:
        if self._is_refused():
            self.send_error(403)
        elif not self._fails():
            super().do_GET()

    def do_HEAD(self) -> None:
        if self._is_refused():
            self.send_error(403)
        elif not self._fails():
            super().do_HEAD()

    def copyfile(self, source: Any, outputfile: Any) -> None:
        outputfile.write(self._encoded(source.read()))

    def _encoded(self, data: bytes) -> bytes:
        return gzip.compress(data) if "gzip" in self.path else data

    def send_header(self, keyword: str, value: str) -> None:
        """Files named `unsized` have no Content-Length, and neither have compressed ones."""
        is_hidden = "unsized" in self.path or "gzip" in self.path
        if keyword == "Last-Modified" and "undated" in self.path:
            return
        if keyword == "Content-Length" and is_hidden:
            if "gzip" in self.path:
                super().send_header("Content-Encoding", "gzip")
            return
        super().send_header(keyword, value)

    def send_head(self) -> Any:
        if "/moved/" in self.path:
            self.send_response(302)
            self.send_header("Location", self.path.replace("/moved/", "/"))
            self.end_headers()
            return None
        return super().send_head()

    def _fails(self) -> bool:
        """Answer with an error of the server for files named `broken`."""
        if "broken" in self.path:
            self.send_error(500)
        return "broken" in self.path

    def _is_refused(self) -> bool:
        return "private" in self.path and "X-Amz-Signature=s3cret" not in self.path

    def log_message(self, *args: object) -> None:
        """Be silent."""


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "a.mp4").write_bytes(b"video")
    (tmp_path / "private.mp4").write_bytes(b"private")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Server, directory=str(tmp_path))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def content(uri: str) -> bytes:
    with open_binary(uri) as file:
        return file.read()


def test_one_video(web: str, tmp_path: Path) -> None:
    (source,) = list_sources(InputParams(uri=f"{web}/a.mp4"))
    assert (source.uri, source.size_bytes) == (f"{web}/a.mp4", 5)
    assert content(source.uri) == b"video"
    manifest = tmp_path / "m.jsonl"
    manifest.write_text(json.dumps({"uri": f"{web}/a.mp4"}))
    (listed,) = list_sources(InputParams(uri=str(manifest)))
    assert (listed.video_id, listed.etag) == (source.video_id, source.etag)


def test_a_change_shows_without_an_etag(web: str, tmp_path: Path) -> None:
    def etag() -> str:
        return list_sources(InputParams(uri=f"{web}/a.mp4"))[0].etag

    before = etag()
    assert "None" not in before
    assert etag() == before
    os.utime(tmp_path / "a.mp4", (1, 1))
    assert etag() != before


def test_a_change_that_nothing_shows(
    web: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "undated.mp4").write_bytes(b"video")
    uri = f"{web}/undated.mp4"
    list_sources(InputParams(uri=uri))
    assert f"of 1 videos (first: {uri}): a change that keeps the size cannot" in caplog.text
    caplog.clear()
    list_sources(InputParams(uri=uri, identity="content"))
    list_sources(InputParams(uri=f"{web}/a.mp4"))
    assert caplog.text == ""


def test_a_server_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filesystems, "_SILENCE_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}/a.mp4"
        with pytest.raises(PreflightError, match="no videos at http"):
            list_sources(InputParams(uri=uri))


def test_a_large_file_may_take_longer_than_five_minutes() -> None:
    files, _ = filesystems.filesystem("http://127.0.0.1/a.mp4")
    assert files.client_kwargs["timeout"].total is None


def test_an_etag_of_other_bytes_is_text() -> None:
    # As aiohttp decodes `ETag: "caf\xe9"`.
    assert remote("http://host/a.mp4", {"ETag": '"caf\udce9"', "size": 5}).etag == r"caf\udce9"


def test_a_missing_video_is_refused(web: str) -> None:
    with pytest.raises(PreflightError, match=r"no videos at http://127.*/nope.mp4"):
        list_sources(InputParams(uri=f"{web}/nope.mp4"))


def test_an_error_of_the_server_at_one_video(
    web: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broken video fails alone, when it is opened; others on its server are listed."""
    monkeypatch.setattr(retry, "RETRY_DEADLINE_S", 0)
    manifest = tmp_path / "list.csv"
    manifest.write_text(f"uri\n{web}/broken.mp4\n{web}/a.mp4\n")
    broken, good = list_sources(InputParams(uri=str(manifest)))
    assert (broken.etag, broken.size_bytes, good.size_bytes) == ("", 0, 5)
    with pytest.raises(DataError) as caught:
        content(broken.uri)
    assert caught.value.kind == "unreadable"
    assert "(500)" in str(caught.value)


def test_another_signature_is_the_same_video(web: str) -> None:
    signed = f"{web}/private.mp4?X-Amz-Date={{}}&X-Amz-Signature=s3cret"
    first, second = (list_sources(InputParams(uri=signed.format(n)))[0] for n in (1, 2))
    assert content(first.uri) == b"private"
    assert first.video_id == second.video_id
    assert "s3cret" not in first.input_uri


CONTENT = bytes(range(256)) * 10_000


@pytest.mark.parametrize(
    "name", ["ranges_ignored.mp4", "unsized.mp4", "gzip.mp4", "moved/a.mp4", "moved/unsized.mp4"]
)
def test_a_server_without_ranges_sends_the_whole_file(web: str, tmp_path: Path, name: str) -> None:
    (tmp_path / Path(name).name).write_bytes(CONTENT)
    (source,) = list_sources(InputParams(uri=f"{web}/{name}"))
    with open_binary(source.uri) as file:
        assert file.seek(2_000_001) == 2_000_001
        assert file.read(5) == CONTENT[2_000_001:2_000_006]
        assert file.seek(0, os.SEEK_END) == len(CONTENT)
        assert file.seek(0) == 0
        assert file.read() == CONTENT


def test_a_video_of_unknown_size(web: str, tmp_path: Path) -> None:
    write_clip(tmp_path / "unsized.mp4", 3)
    (source,) = list_sources(InputParams(uri=f"{web}/unsized.mp4"))
    with open_binary(source.uri) as file:
        assert probe(file, size_bytes=source.size_bytes).width_px == 96


@pytest.mark.parametrize("decoder", [InProcessDecoder(), IsolatedDecoder(SHARED_POOL)])
def test_a_copy_is_limited(web: str, tmp_path: Path, decoder: Decoder) -> None:
    clip = write_clip(tmp_path / "unsized.mp4", 3)
    uri, num_bytes = f"{web}/{clip.name}", clip.stat().st_size
    exact, short = Limits(max_bytes=num_bytes), Limits(max_bytes=num_bytes - 1)
    assert decoder.call(probe, uri, size_bytes=0, limits=exact).width_px == 96
    with pytest.raises(DataError, match=f"at most {num_bytes - 1} bytes") as caught:
        decoder.call(probe, uri, size_bytes=0, limits=short)
    assert caught.value.kind == "over_limit"
    assert content_hash(uri, exact) == content_hash(str(clip))
    assert content_hash(uri, short) == ""


def test_a_copy_that_fills_the_disk(
    web: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "unsized.mp4").write_bytes(CONTENT)
    with small_disk(tmp_path / "disk", size_mib=1) as disk:
        monkeypatch.setattr(tempfile, "tempdir", str(disk.path))
        with pytest.raises(DataError, match=f"must fit into {disk.path}, since") as caught:
            content(f"{web}/unsized.mp4")
    assert caught.value.kind == "over_limit"


def test_the_copy_of_a_manifest_is_limited(
    web: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "unsized.csv").write_text("uri\na.mp4\n")
    monkeypatch.setattr(manifest_rows, "MAX_BYTES", 9)
    with pytest.raises(PreflightError, match=r"cannot read the manifest: .* at most 9 bytes"):
        read_manifest(f"{web}/unsized.csv")


def test_a_link_that_has_expired(web: str) -> None:
    with pytest.raises(DataError) as caught:
        content(f"{web}/private.mp4?X-Amz-Signature=old")
    assert caught.value.kind == "unreadable"
    assert str(caught.value) == (
        f"access to {web}/private.mp4 was refused (403); check the link, whose signature may have "
        "expired"
    )
