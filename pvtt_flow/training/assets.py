"""Fetch the meshes and skies that scenes are made of: packages of known names and hashes.

Nothing of them is in the project. The meshes are under CC0, CC-BY 3.0 and CC-BY 3.0 US, the skies
under CC0; `MeshFile.creator` has the author whom weights that learned from a mesh must credit.
"""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pvtt_flow.models.checkpoints import sha256_of


@dataclass(frozen=True)
class Package:
    """File of a package registry."""

    file: str
    sha256: str
    command: tuple[str, ...]
    """Puts the file into the current folder."""
    unpack: Callable[[Path, Path], None]


def _unpack_deb(path: Path, folder: Path) -> None:
    command = ["dpkg-deb", "--extract", str(path), str(folder)]
    subprocess.run(command, check=True)  # noqa: S603 (no part of it is user input)


def _unpack_tar(path: Path, folder: Path) -> None:
    shutil.unpack_archive(path, folder, filter="data")


MESHES = Package(
    "sweethome3d-furniture_1.8-1_all.deb",
    "3ccb90c63f9525e887a767b9cd5c8b6933b8b6b2973a615a5359ee68a2118668",
    ("apt-get", "download", "sweethome3d-furniture=1.8-1"),
    _unpack_deb,
)
SKIES = Package(
    "pmndrs-assets-1.7.0.tgz",
    "152bd218a3390703f184f0c6ce16e73c8f0a87f32d38530d418a09d33d8208dc",
    ("npm", "pack", "--silent", "@pmndrs/assets@1.7.0"),
    _unpack_tar,
)


def fetch(package: Package, folder: Path) -> Path:
    """Return the folder with the content of a package; fetch and unpack it if it is not there.

    Raises RuntimeError where it cannot be fetched, and ValueError for another hash.
    """
    content = folder / package.sha256[:16]
    if content.exists():
        return content
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / package.file
    if not path.exists():
        _download(package, folder)
    found = sha256_of(path)
    if found != package.sha256:
        raise ValueError(
            f"{path} must have the SHA-256 {package.sha256}, got {found}; delete it and run again"
        )
    part = folder / f"{content.name}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    package.unpack(path, part)
    part.rename(content)
    return content


def _download(package: Package, folder: Path) -> None:
    try:
        subprocess.run(  # noqa: S603 (no part of it is user input)
            package.command, cwd=folder, check=True, stdout=subprocess.DEVNULL
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise RuntimeError(
            f"`{' '.join(package.command)}` must put {package.file} into {folder}, but: {error}; "
            "put the file there yourself, for instance from another machine"
        ) from error
