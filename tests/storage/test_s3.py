"""Listing on a real S3 server, and the errors when it does not work."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import s3fs

from pvtt_flow.core import ids
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.errors import DataError, PreflightError, StoreError
from pvtt_flow.storage import retry
from pvtt_flow.storage.params import InputParams
from pvtt_flow.storage.sources import list_sources
from pvtt_flow.storage.streams import open_binary
from pvtt_flow.storage.uris import redact_uri

if TYPE_CHECKING:
    from tests.conftest import S3Server

KEY = "$.input.uri: "


@pytest.fixture(scope="module")
def bucket(s3: "S3Server", tmp_path_factory: pytest.TempPathFactory) -> str:
    """Bucket with typical objects."""
    uri = s3.bucket()
    path = tmp_path_factory.mktemp("bucket") / "file"
    for name in ("in/a.mp4", "in/sub/b.MOV", "in/.hidden/c.mp4", "in/notes.txt", "in/empty.mkv"):
        path.write_bytes(b"" if "empty" in name else name.encode())
        s3.put(path, f"{uri}/{name}")
    return uri


@pytest.fixture
def new_clients() -> Iterator[None]:
    """Clear the clients of fsspec, which keep their credentials."""
    s3fs.S3FileSystem.clear_instance_cache()
    yield
    s3fs.S3FileSystem.clear_instance_cache()


def names(uri: str, **params: Any) -> list[str]:
    sources = list_sources(InputParams(uri=uri, **params))
    return [source.uri.split("/", 3)[3] for source in sources]


def test_a_prefix(bucket: str) -> None:
    assert names(f"{bucket}/in") == ["in/a.mp4", "in/empty.mkv", "in/sub/b.MOV"]
    assert names(f"{bucket}/in/") == names(f"{bucket}/in") == names(bucket)


def test_one_object(bucket: str) -> None:
    (source,) = list_sources(InputParams(uri=f"{bucket}/in/a.mp4"))
    assert source.uri == f"{bucket}/in/a.mp4"
    assert (source.name, source.video_id) == ("a.mp4", ids.video_id("a.mp4"))
    assert source.size_bytes == 8
    assert len(source.etag) == 32
    assert names(f"{bucket}/in/notes.txt") == ["in/notes.txt"]


def test_globs(bucket: str) -> None:
    assert names(f"{bucket}/in/*.mp4") == ["in/a.mp4"]
    assert names(f"{bucket}/in/**/*.MOV") == ["in/sub/b.MOV"]
    with pytest.raises(PreflightError, match="none of its 0 files"):
        list_sources(InputParams(uri=f"{bucket}/in/*.avi"))


def test_etag_follows_the_content(s3: "S3Server", tmp_path: Path) -> None:
    uri = f"{s3.bucket()}/x.mp4"
    etags = []
    for content in (b"one", b"two", b"one"):
        (tmp_path / "x").write_bytes(content)
        s3.put(tmp_path / "x", uri)
        etags.append(list_sources(InputParams(uri=uri))[0].etag)
    assert etags[0] == etags[2] != etags[1]


def test_a_manifest_in_the_bucket(s3: "S3Server", bucket: str, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("uri,id\nin/a.mp4,first\nin/../in/gone.mp4,second\nin,third\n")
    uri = s3.put(tmp_path / "m.csv", f"{bucket}/m.csv")
    first, second, third = list_sources(InputParams(uri=uri))
    assert (first.uri, first.video_id) == (f"{bucket}/in/a.mp4", "first")
    assert len(first.etag) == 32
    assert (second.uri, second.etag, second.size_bytes) == (f"{bucket}/in/gone.mp4", "", 0)
    assert third.etag == ""


def test_nothing_at_the_prefix(s3: "S3Server", bucket: str) -> None:
    with pytest.raises(PreflightError) as caught:
        list_sources(InputParams(uri=f"{bucket}/nope"))
    assert str(caught.value) == (
        f"{KEY}no videos at {bucket}/nope (server {s3.endpoint_url}); correct the uri"
    )


def test_a_missing_bucket(s3: "S3Server") -> None:
    with pytest.raises(PreflightError) as caught:
        list_sources(InputParams(uri="s3://no-such-bucket-here/in"))
    assert str(caught.value) == (
        f"{KEY}the bucket of s3://no-such-bucket-here/in (server {s3.endpoint_url}) must "
        "exist; create it or correct the uri"
    )
    with pytest.raises(PreflightError, match=r"^\$.output.uri: the bucket of s3://no-such"):
        Dataset("s3://no-such-bucket-here/dataset").ensure()


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("AWS_ACCESS_KEY_ID", "InvalidAccessKeyId"),
        ("AWS_SECRET_ACCESS_KEY", "SignatureDoesNotMatch"),
    ],
)
def test_wrong_credentials(
    s3: "S3Server",
    bucket: str,
    new_clients: None,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    code: str,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv(name, "wrong-but-secret")
    remedy = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or AWS_PROFILE)"
    with pytest.raises(PreflightError) as caught:
        list_sources(InputParams(uri=f"{bucket}/in"))
    assert str(caught.value) == (
        f"{KEY}access to {bucket}/in (server {s3.endpoint_url}) was refused ({code}); "
        f"check {remedy}"
    )
    assert caught.value.__suppress_context__
    with pytest.raises(PreflightError, match=r"^\$.output.uri: access to .* was refused"):
        Dataset(f"{bucket}/dataset").ensure()
    with pytest.raises(DataError, match=r"was refused \(403\)"), open_binary(f"{bucket}/in/a.mp4"):
        pass
    (tmp_path / "m.csv").write_text(f"uri\n{bucket}/in/a.mp4\n")
    with pytest.raises(PreflightError, match=r"^\$.input.uri: access to .* was refused"):
        list_sources(InputParams(uri=str(tmp_path / "m.csv")))


def test_no_credentials_at_all(
    bucket: str, new_clients: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(PreflightError, match=r"was refused|needs credentials; set AWS_ACCESS_KEY"):
        list_sources(InputParams(uri=f"{bucket}/in"))


def test_the_server_is_down(
    new_clients: None, monkeypatch: pytest.MonkeyPatch, s3: "S3Server"
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://user:hunter2@127.0.0.1:9")
    monkeypatch.setattr(retry, "RETRY_DEADLINE_S", 0.5)
    with pytest.raises(StoreError) as caught:
        list_sources(InputParams(uri="s3://bucket/in"))
    assert str(caught.value) == (
        f"{KEY}s3://bucket/in (server http://127.0.0.1:9) does not answer; check the network "
        "and the server's address"
    )


def test_secrets_in_uris_are_not_shown() -> None:
    assert redact_uri("https://u:p@host/v.mp4?X-Amz-Signature=1") == "https://host/v.mp4"
    assert redact_uri("s3://bucket/a?b@c.mp4") == "s3://bucket/a?b@c.mp4"
    assert redact_uri("/local/a@b.mp4") == "/local/a@b.mp4"
