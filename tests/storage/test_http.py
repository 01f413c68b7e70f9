"""Videos on a web server: one by its uri, signed ones, and changes without an ETag."""

import json
import os
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pvtt_flow.errors import PreflightError
from pvtt_flow.storage.params import InputParams
from pvtt_flow.storage.sources import list_sources
from pvtt_flow.storage.streams import open_binary


class Server(SimpleHTTPRequestHandler):
    """Server of a folder; files named `private` need a signature."""

    def do_GET(self) -> None:
        if self._is_refused():
            self.send_error(403)
        else:
            super().do_GET()

    def do_HEAD(self) -> None:
        if self._is_refused():
            self.send_error(403)
        else:
            super().do_HEAD()

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


def test_a_missing_video_is_refused(web: str) -> None:
    with pytest.raises(PreflightError, match=r"no videos at http://127.*/nope.mp4"):
        list_sources(InputParams(uri=f"{web}/nope.mp4"))


def test_another_signature_is_the_same_video(web: str) -> None:
    signed = f"{web}/private.mp4?X-Amz-Date={{}}&X-Amz-Signature=s3cret"
    first, second = (list_sources(InputParams(uri=signed.format(n)))[0] for n in (1, 2))
    assert content(first.uri) == b"private"
    assert first.video_id == second.video_id
    assert "s3cret" not in first.input_uri
