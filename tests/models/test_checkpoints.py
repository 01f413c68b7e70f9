"""Named checkpoints: their table, their locations and the verification of their files."""

import hashlib
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

import pytest
import torch

from pvtt_flow.errors import ConfigError, DataError, PreflightError
from pvtt_flow.models import checkpoints
from pvtt_flow.models.checkpoint import Checkpoint
from pvtt_flow.models.checkpoints import license_of, locate, sha256_of, trusted_file, verify
from pvtt_flow.models.factory import tracker_config
from pvtt_flow.models.sam2.official import build_predictor
from pvtt_flow.models.tracker import TrackerParams
from pvtt_flow.storage.streams import open_binary

CONTENT = b"these are the weights"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
WEIGHTS = Checkpoint(
    name="weights",
    file_name="weights.pt",
    sha256=SHA256,
    license="Apache-2.0",
    kind="tracker",
    url="https://publisher.invalid/weights.pt",
)
# Blocks and width of the image encoder, from the SAM 2 paper.
HIERA = {"tiny": (12, 96), "small": (16, 96), "base_plus": (24, 112), "large": (48, 144)}
OFFICIAL = [f"{version}_hiera_{size}" for version in ("sam2", "sam2.1") for size in HIERA]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Set an empty cache folder and an unreachable network."""
    monkeypatch.setenv("PVTT_FLOW_MODELS", str(tmp_path / "cache"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    return tmp_path / "cache"


def test_the_table_of_checkpoints() -> None:
    known = checkpoints.known()
    embedded = ["embedded_tracker", "embedded_detector"]
    assert list(known)[: 2 + len(OFFICIAL)] == embedded + OFFICIAL
    assert all(re.fullmatch("[0-9a-f]{64}", c.sha256) for c in known.values())
    official = [known[name] for name in OFFICIAL]
    assert len({c.sha256 for c in official} | {c.url for c in official}) == 16
    assert [c.file_name for c in official] == [f"{name}.pt" for name in OFFICIAL]
    assert official[0].url == (
        "https://dl.fbaipublicfiles.com/segment_anything_2/072824/sam2_hiera_tiny.pt"
    )


def test_each_tracker_has_a_config_and_each_checkpoint_a_license() -> None:
    for name in checkpoints.known():
        assert license_of(name)
        if checkpoints.known()[name].kind == "tracker":
            assert tracker_config(TrackerParams(weights=name)).is_file()
    assert license_of("mine.pt") is None


def test_a_gated_file_is_not_downloaded(cache: Path) -> None:
    gated = replace(WEIGHTS, gated=True, license="Their License", url="https://publisher.invalid")
    with pytest.raises(PreflightError) as caught:
        locate(gated, None, open_binary)
    assert str(caught.value) == (
        f"weights: weights.pt must be at {cache / 'weights.pt'}, and is not; its publisher gives "
        "it only to accounts that accepted its license, Their License: accept it at "
        f"https://publisher.invalid, then put the file there (sha256 {SHA256}), or set the models "
        "folder to one that has it"
    )
    cache.mkdir()
    (cache / "weights.pt").write_bytes(CONTENT)
    assert locate(gated, None, open_binary) == cache / "weights.pt"


@pytest.mark.parametrize("name", OFFICIAL)
def test_an_official_config_builds_its_architecture(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A model on the meta device must still compute this.
    monkeypatch.setattr(torch, "linspace", partial(torch.linspace, device="cpu"))
    with torch.device("meta"):
        model = build_predictor(
            None, tracker_config(TrackerParams(weights=name)), torch.device("meta")
        )
    version, size = name.split("_hiera_")
    blocks = model.image_encoder.trunk.blocks
    assert (len(blocks), blocks[0].dim) == HIERA[size]
    assert model.image_size == 1024
    # Version 2.1 added this embedding.
    assert (model.no_obj_embed_spatial is not None) == (version == "sam2.1")


def test_the_embedded_files_have_their_hashes() -> None:
    for name in ("embedded_tracker", "embedded_detector"):
        checkpoint = checkpoints.known()[name]
        path = locate(checkpoint, None, open_binary)
        assert path == checkpoints.embedded_file(checkpoint.file_name)
        assert sha256_of(path) == checkpoint.sha256


def test_weights_are_taken_from_the_folder(tmp_path: Path) -> None:
    (tmp_path / "weights.pt").write_bytes(CONTENT)
    assert locate(WEIGHTS, str(tmp_path), open_binary) == tmp_path / "weights.pt"


class Bucket:
    """Bucket whose objects fail after `stop` bytes, if given."""

    def __init__(self, content: bytes = CONTENT, *, stop: int | None = None) -> None:
        self._content = content
        self._stop = stop
        self.opened: list[str] = []

    @contextmanager
    def open(self, uri: str) -> Iterator[BinaryIO]:
        self.opened.append(uri)
        yield self._Breaking(self._content[: self._stop], breaks=self._stop is not None)

    class _Breaking(io.BytesIO):
        def __init__(self, content: bytes, *, breaks: bool) -> None:
            super().__init__(content)
            self._breaks = breaks

        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            if self._breaks and not data:
                raise DataError("unreadable", "s3://bucket does not answer")
            return data


def test_weights_are_copied_from_a_bucket_once(cache: Path) -> None:
    bucket = Bucket()
    for _ in range(2):
        path = locate(WEIGHTS, "s3://bucket/models/", bucket.open)
        assert path == cache / "weights.pt"
        assert path.read_bytes() == CONTENT
    assert bucket.opened == ["s3://bucket/models/weights.pt"]
    assert [p.name for p in cache.iterdir()] == ["weights.pt"]


@pytest.mark.parametrize(
    ("bucket", "message"),
    [
        (Bucket(stop=5), "weights: weights.pt could not be fetched (s3://bucket does not answer)"),
        (Bucket(CONTENT[:-1]), f"must have sha256 {SHA256}, got "),
    ],
    ids=["read error", "other bytes"],
)
def test_a_partial_file_never_has_the_final_name(cache: Path, bucket: Bucket, message: str) -> None:
    with pytest.raises(PreflightError) as caught:
        locate(WEIGHTS, "s3://bucket", bucket.open)
    assert message in str(caught.value)
    assert list(cache.iterdir()) == []


def test_without_a_network_the_error_says_which_file_to_put_where(tmp_path: Path) -> None:
    with pytest.raises(PreflightError) as caught:
        locate(WEIGHTS, str(tmp_path / "models"), open_binary)
    target = tmp_path / "models" / "weights.pt"
    assert (
        f"put the file at {target} (sha256 {SHA256}; published at {WEIGHTS.url} under the "
        "license Apache-2.0), or set the "
        f"models folder to one that has it"
    ) in str(caught.value)


def test_a_file_with_another_hash_is_refused(tmp_path: Path) -> None:
    (tmp_path / "weights.pt").write_bytes(b"something else")
    with pytest.raises(PreflightError, match="damaged, incomplete or another file; delete it"):
        locate(WEIGHTS, str(tmp_path), open_binary)


def test_missing_weights_of_the_package() -> None:
    missing = replace(WEIGHTS, url=None, file_name="missing.pt")
    with pytest.raises(PreflightError) as caught:
        locate(missing, None, open_binary)
    expected = f"no weights file at {checkpoints.embedded_file('missing.pt')} (sha256 {SHA256})"
    assert expected in str(caught.value)


@pytest.mark.parametrize("name", ["mine.pt", "mine.pth", "mine.PT", "mine.torchscript", "mine"])
def test_a_file_that_may_contain_code_needs_its_hash(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(CONTENT)
    key = "$.detector.sha256"
    with pytest.raises(ConfigError, match=r"^\$\.detector\.sha256 must be set for ") as caught:
        trusted_file(path, None, key)
    assert f"set it to {SHA256}" in str(caught.value)
    assert trusted_file(path, SHA256, key) == path
    with pytest.raises(PreflightError, match="must have sha256"):
        trusted_file(path, "0" * 64, key)


def test_other_formats_may_have_a_hash(tmp_path: Path) -> None:
    graph, folder = tmp_path / "mine.onnx", tmp_path / "mine_openvino_model"
    graph.write_bytes(CONTENT)
    folder.mkdir()
    (folder / "mine.xml").write_bytes(CONTENT)
    for path in (graph, folder):
        assert trusted_file(path, None, "$.detector.sha256") == path
        assert trusted_file(path, sha256_of(path), "$.detector.sha256") == path
        with pytest.raises(PreflightError, match="must have sha256"):
            trusted_file(path, "0" * 64, "$.detector.sha256")


@pytest.mark.parametrize("sha256", [None, SHA256])
def test_a_folder_of_other_things_is_not_hashed(tmp_path: Path, sha256: str | None) -> None:
    (tmp_path / "endless").symlink_to("/dev/zero")
    with pytest.raises(PreflightError, match=r"^\$\.detector\.weights must be a file or "):
        trusted_file(tmp_path, sha256, "$.detector.sha256")


def test_the_hash_of_a_folder_depends_on_names_and_contents(tmp_path: Path) -> None:
    def hash_with(name: str, content: str) -> str:
        folder = tmp_path / f"{name}-{content}"
        folder.mkdir()
        (folder / name).write_text(content)
        (folder / "same").write_text("same")
        return sha256_of(folder)

    assert len({hash_with("a", "1"), hash_with("a", "2"), hash_with("b", "1")}) == 3
    assert verify(tmp_path / "a-1", sha256_of(tmp_path / "a-1")) == tmp_path / "a-1"
