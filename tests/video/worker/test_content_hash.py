"""Hashes of content: what they cover, and that they stay what datasets have."""

import os
from pathlib import Path

from pvtt_flow.storage.params import InputParams
from pvtt_flow.storage.sources import list_sources
from pvtt_flow.video.worker.content_hash import content_hash, with_content_hashes
from tests.conftest import S3Server


def test_the_hash_ignores_modification_times(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(name.encode())

    def etags() -> list[str]:
        sources = list_sources(InputParams(uri=str(tmp_path)))
        return [source.etag for source in with_content_hashes(sources)]

    before = etags()
    # Datasets have these hashes; another one would process every video again.
    assert before[0] == "blake2b:0b7c12e2fcb39df70e05bd014396950b"
    os.utime(tmp_path / "b.mp4", ns=(1, 1))
    assert etags() == before
    (tmp_path / "b.mp4").write_bytes(b"B.mp4")
    assert etags()[0] == before[0]
    assert etags()[1] != before[1]


def test_the_hash_of_a_folder_covers_all_bytes_and_the_rate(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number:05d}.jpg").write_bytes(f"frame {number}".encode())
    (tmp_path / "00003.jpg").touch()

    def etag(fps: float = 25.0) -> str:
        return content_hash(f"{tmp_path}/#fps={fps:g}")

    before = etag()
    assert before == "blake2b:d04073b04329889e0b0941823c4313b4"
    os.utime(tmp_path / "00000.jpg", ns=(1, 1))
    assert etag() == before
    assert etag(24) != before
    (tmp_path / "00000.jpg").write_bytes(b"FRAME 0")
    assert etag() != before


def test_an_object_has_the_hash_of_its_local_copy(s3: S3Server, tmp_path: Path) -> None:
    (tmp_path / "copy.mp4").write_bytes(b"content")
    uri = f"{s3.bucket()}/a.mp4"
    s3.put(tmp_path / "copy.mp4", uri)
    assert content_hash(uri) == content_hash(str(tmp_path / "copy.mp4")) != ""


def test_what_cannot_be_read_has_no_hash(tmp_path: Path) -> None:
    assert content_hash(str(tmp_path / "missing.mp4")) == ""
    assert content_hash(f"{tmp_path}/missing/#fps=25") == ""
