"""Weights that are objects in a bucket."""

import hashlib
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

import fsspec
import pytest

from pvtt_flow.errors import ConfigError, DataError, PreflightError, StoreError
from pvtt_flow.models.checkpoints import sha256_of
from pvtt_flow.models.own_weights import own_weights
from pvtt_flow.storage.streams import open_binary

CONTENT, OTHER = b"weights", b"other weights"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def bucket(tmp_path: Path) -> str:
    """Return the uri of a folder in memory, which fsspec opens as it opens a bucket."""
    folder = f"memory://models/{tmp_path.name}"
    files = fsspec.filesystem("memory")
    for name in ("best.pt", "best.onnx"):
        files.pipe_file(f"{folder}/{name}", CONTENT)
    return folder


def fetch(uri: str, folder: Path, sha256: str | None = None) -> Path:
    return own_weights(uri, sha256, "detector", str(folder), open_binary)


@pytest.mark.parametrize(("name", "sha256"), [("best.pt", SHA256), ("best.onnx", None)])
def test_an_object_is_fetched_once(
    tmp_path: Path, bucket: str, name: str, sha256: str | None
) -> None:
    path = fetch(f"{bucket}/{name}", tmp_path, sha256)
    assert path == tmp_path / f"{SHA256}-{name}"
    assert path.read_bytes() == CONTENT
    fsspec.filesystem("memory").rm(f"{bucket}/{name}")
    assert fetch(f"{bucket}/{name}", tmp_path, SHA256) == path
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_an_openvino_folder_is_fetched_once(tmp_path: Path, bucket: str) -> None:
    files, uri = fsspec.filesystem("memory"), f"{bucket}/best_int8_openvino_model"
    with pytest.raises(PreflightError, match=f"no file at {uri}/best.xml; correct the uri"):
        fetch(f"{uri}/", tmp_path)
    contents = {"best.xml": b"graph", "best.bin": CONTENT, "metadata.yaml": b"task: detect"}
    for name, content in contents.items():
        files.pipe_file(f"{uri}/{name}", content)
    path = fetch(f"{uri}/", tmp_path)
    assert path == tmp_path / f"{sha256_of(path)}-best_int8_openvino_model"
    assert {file.name: file.read_bytes() for file in path.iterdir()} == contents
    assert fetch(uri, tmp_path) == path, "another process may have fetched it meanwhile"
    files.rm(uri, recursive=True)
    assert fetch(uri, tmp_path, sha256_of(path)) == path
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_another_object_is_fetched_anew(tmp_path: Path, bucket: str) -> None:
    first = fetch(f"{bucket}/best.onnx", tmp_path)
    fsspec.filesystem("memory").pipe_file(f"{bucket}/best.onnx", OTHER)
    second = fetch(f"{bucket}/best.onnx", tmp_path)
    assert [first.read_bytes(), second.read_bytes()] == [CONTENT, OTHER]
    with pytest.raises(PreflightError) as caught:
        fetch(f"{bucket}/best.onnx", tmp_path, "0" * 64)
    other = hashlib.sha256(OTHER).hexdigest()
    assert str(caught.value) == (
        f"$.detector.weights: {bucket}/best.onnx must have sha256 {'0' * 64}, got {other}"
    )
    assert len(list(tmp_path.iterdir())) == 2


def test_a_damaged_copy_is_refused(tmp_path: Path, bucket: str) -> None:
    fetch(f"{bucket}/best.onnx", tmp_path).write_bytes(b"damaged")
    with pytest.raises(PreflightError, match="it is damaged, incomplete or another file; delete"):
        fetch(f"{bucket}/best.onnx", tmp_path, SHA256)


def test_an_object_that_may_contain_code_needs_its_hash(tmp_path: Path, bucket: str) -> None:
    with pytest.raises(ConfigError) as caught:
        fetch(f"{bucket}/best.pt", tmp_path)
    message = str(caught.value)
    assert message.startswith(f"$.detector.sha256 must be set for {bucket}/best.pt, got null")
    assert message.endswith(f"set it to {SHA256}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("memory://models/none.pt", "no file at memory://models/none.pt; correct the uri"),
        ("nowhere://models/best.pt", "no filesystem for nowhere://models/best.pt"),
        ("memory://models/folder/", "$.detector.weights must be one file or an OpenVINO folder, "),
        (
            "https://host/best.pt?signature=secret",
            "must be a path or an object in a bucket, got https://host/best.pt; copy it to one",
        ),
    ],
)
def test_what_cannot_be_fetched(tmp_path: Path, uri: str, message: str) -> None:
    with pytest.raises((PreflightError, ConfigError)) as caught:
        fetch(uri, tmp_path, SHA256)
    assert str(caught.value).startswith("$.detector.weights ")
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        DataError("unreadable", "access to s3://b/k was refused"),
        StoreError("$.input.uri: access to s3://b/k was refused"),
        OSError("access to s3://b/k was refused"),
    ],
)
def test_a_store_that_refuses(tmp_path: Path, error: Exception) -> None:
    def refuse(uri: str) -> AbstractContextManager[BinaryIO]:
        raise error

    with pytest.raises(PreflightError) as caught:
        own_weights("s3://b/k", SHA256, "tracker", str(tmp_path), refuse)
    assert str(caught.value) == (
        f"$.tracker.weights cannot be fetched to {tmp_path}: access to s3://b/k was refused"
    )


def test_a_local_uri(tmp_path: Path) -> None:
    path = tmp_path / "my best.onnx"
    path.write_bytes(CONTENT)
    assert fetch(path.as_uri(), tmp_path) == path
