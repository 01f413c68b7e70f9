"""Packages of known hash: fetched once, refused with another content."""

import hashlib
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from pvtt_flow.training.assets import Package, fetch


def unpack(path: Path, folder: Path) -> None:
    shutil.unpack_archive(path, folder, filter="data")


@pytest.fixture
def package(tmp_path: Path) -> Package:
    """A package whose registry is a folder."""
    registry = tmp_path / "registry" / "meshes.tgz"
    registry.parent.mkdir()
    (tmp_path / "cup.obj").write_text("v 0 0 0")
    with tarfile.open(registry, "w:gz") as archive:
        archive.add(tmp_path / "cup.obj", "meshes/cup.obj")
    digest = hashlib.sha256(registry.read_bytes()).hexdigest()
    return Package("meshes.tgz", digest, ("cp", str(registry), "."), unpack)


def test_a_package_is_fetched_once(package: Package, tmp_path: Path) -> None:
    content = fetch(package, tmp_path / "assets")
    assert (content / "meshes" / "cup.obj").read_text() == "v 0 0 0"
    Path(package.command[1]).unlink()
    assert fetch(package, tmp_path / "assets") == content


def test_another_content_is_refused(package: Package, tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"meshes\.tgz must have the SHA-256 000, got [0-9a-f]{64}"
    ):
        fetch(replace(package, sha256="000"), tmp_path / "assets")
    assert [path.name for path in (tmp_path / "assets").iterdir()] == ["meshes.tgz"]


def test_a_machine_without_the_package_tool_is_told_what_to_do(
    package: Package, tmp_path: Path
) -> None:
    with pytest.raises(RuntimeError, match=r"`no-such-tool get` must put meshes\.tgz into"):
        fetch(replace(package, command=("no-such-tool", "get")), tmp_path / "assets")
