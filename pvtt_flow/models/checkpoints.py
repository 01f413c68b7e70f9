"""Named checkpoints: where their files are, and verification of their SHA-256.

The file of a named checkpoint comes from this package (`embedded`), from the models folder or
bucket, or from its publisher. It is verified against the SHA-256 in this table before it is loaded.
Weights that are given by path need a SHA-256 in the config when they are a pickle (`trusted_file`).
"""

import hashlib
import os
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import BinaryIO

from pvtt_flow.errors import ConfigError, DataError, PreflightError

Opener = Callable[[str], AbstractContextManager[BinaryIO]]
"""Opens a uri for reading. Callers pass the one of `storage`, which `models` does not import."""

_META = "https://dl.fbaipublicfiles.com/segment_anything_2"
_EMBEDDED = "pvtt_flow.models.embedded"
_DOWNLOAD_TIMEOUT_S = 60
# Suffixes of files that cannot contain code; other files are treated as pickles.
_PLAIN_DATA = {".onnx", ".safetensors"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Published weights file."""

    name: str
    file_name: str
    sha256: str
    config: str | None = None
    """Config of its architecture, in the `sam2` package or in this one; None for a detector."""
    url: str | None = None
    """Address at its publisher; None for a file of this package."""


# Publication dates, which are part of the addresses.
_DATES = {"sam2": "072824", "sam2.1": "092824"}
_LETTERS = {"tiny": "t", "small": "s", "base_plus": "b+", "large": "l"}
# Hashes of Meta's files (Apache-2.0), equal in several independent public projects.
_SHA256 = {
    ("sam2", "tiny"): "65b50056e05bcb13694174f51bb6da89c894b57b75ccdf0ba6352c597c5d1125",
    ("sam2", "small"): "95949964d4e548409021d47b22712d5f1abf2564cc0c3c765ba599a24ac7dce3",
    ("sam2", "base_plus"): "d0bb7f236400a49669ffdd1be617959a8b1d1065081789d7bbff88eded3a8071",
    ("sam2", "large"): "7442e4e9b732a508f80e141e7c2913437a3610ee0c77381a66658c3a445df87b",
    ("sam2.1", "tiny"): "7402e0d864fa82708a20fbd15bc84245c2f26dff0eb43a4b5b93452deb34be69",
    ("sam2.1", "small"): "6d1aa6f30de5c92224f8172114de081d104bbd23dd9dc5c58996f0cad5dc4d38",
    ("sam2.1", "base_plus"): "a2345aede8715ab1d5d31b4a509fb160c5a4af1970f199d9054ccfb746c004c5",
    ("sam2.1", "large"): "2647878d5dfa5098f2f8649825738a9345572bae2d4350a2468587ece47dd318",
}


def _official(version: str, size: str) -> Checkpoint:
    file_name = f"{version}_hiera_{size}.pt"
    return Checkpoint(
        name=f"{version}_hiera_{size}",
        file_name=file_name,
        sha256=_SHA256[version, size],
        config=f"configs/{version}/{version}_hiera_{_LETTERS[size]}.yaml",
        url=f"{_META}/{_DATES[version]}/{file_name}",
    )


def known() -> dict[str, Checkpoint]:
    """Return all named checkpoints by name, the embedded pair first."""
    embedded = (
        Checkpoint(
            name="embedded_tracker",
            file_name="sam2_embedded.pt",
            sha256=_shipped_sha256("sam2_embedded.pt"),
            config="sam2_embedded.yaml",
        ),
        Checkpoint(
            name="embedded_detector",
            file_name="detector.pt",
            sha256=_shipped_sha256("detector.pt"),
        ),
    )
    official = tuple(_official(*key) for key in _SHA256)
    return {c.name: c for c in embedded + official}


def embedded_file(file_name: str) -> Path:
    """Return the path of a file of the embedded pair; the package is installed as plain files."""
    return Path(str(resources.files(_EMBEDDED).joinpath(file_name)))


def default_folder() -> Path:
    """Return the default models folder: `$PVTT_FLOW_MODELS`, else in the user's cache folder."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("PVTT_FLOW_MODELS") or Path(cache) / "pvtt_flow" / "models")


def locate(checkpoint: Checkpoint, folder: str | None, open_uri: Opener) -> Path:
    """Return a checkpoint as a verified local file.

    Looks in the package, then in `folder` (a path, or a bucket whose files are copied to the
    default folder), then downloads from the publisher. Raises PreflightError, which says which file
    to put where.
    """
    if checkpoint.url is None:
        return verify(embedded_file(checkpoint.file_name), checkpoint.sha256)
    local = default_folder() if folder is None or "://" in folder else Path(folder)
    target = local / checkpoint.file_name
    if not target.exists():
        if folder is not None and "://" in folder:
            source = f"{folder.rstrip('/')}/{checkpoint.file_name}"
            _copy(checkpoint, target, lambda: open_uri(source))
        else:
            url = checkpoint.url
            _copy(checkpoint, target, lambda: _download(url))
    return verify(target, checkpoint.sha256)


def sha256_of(path: Path) -> str:
    """Return the hex SHA-256 of a file, or of the names and hashes of a folder's files."""
    if path.is_dir():
        lines = [
            f"{sha256_of(p)}  {p.relative_to(path).as_posix()}\n"
            for p in sorted(path.rglob("*"))
            if p.is_file()
        ]
        return hashlib.sha256("".join(lines).encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(path: Path, sha256: str) -> Path:
    """Return the path if its content has this SHA-256; raise PreflightError otherwise."""
    if not path.exists():
        raise PreflightError(
            f"no weights file at {path} (sha256 {sha256}), which is part of this package; put it "
            f"there or install the package again"
        )
    actual = sha256_of(path)
    if actual != sha256:
        raise PreflightError(
            f"{path} must have sha256 {sha256}, got {actual}: it is damaged, incomplete or another "
            f"file; delete it and fetch it again"
        )
    return path


def trusted_file(path: Path, sha256: str | None, key: str) -> Path:
    """Return a user's weights path; a file that could contain code must match its hash.

    `key` is the config key of the hash, for errors. Raises PreflightError for a missing file,
    another folder or another hash, ConfigError for a missing hash.
    """
    if not path.exists():
        weights = f"{key.removesuffix('sha256')}weights"
        raise PreflightError(f"no weights at {path}; put them there or change {weights}")
    if path.is_dir() and not any(path.glob("*.xml")):
        # Other folders are not hashed: they may be a whole disk.
        raise PreflightError(
            f"{key.removesuffix('sha256')}weights must be a file or an OpenVINO folder, got the "
            f"folder {path}, which has no .xml file"
        )
    if sha256 is not None:
        return verify(path, sha256)
    require_sha256(path, path, key)
    return path


def require_sha256(path: Path, name: object, key: str) -> None:
    """Raise ConfigError for a file without a hash that could contain code; `name` is the user's."""
    if path.is_file() and path.suffix not in _PLAIN_DATA:
        raise ConfigError(
            f"{key} must be set for {name}, got null: a pickle can run any code, so its hash must "
            f"be known; if you trust the file, set it to {sha256_of(path)}"
        )


def _shipped_sha256(file_name: str) -> str:
    sums = embedded_file("SHA256SUMS").read_text().split("\n")
    by_name = {name: sha256 for sha256, _, name in (line.partition("  ") for line in sums)}
    return by_name[file_name]


def _download(url: str) -> AbstractContextManager[BinaryIO]:
    response: AbstractContextManager[BinaryIO] = urllib.request.urlopen(  # noqa: S310 (https, from the table)
        url, timeout=_DOWNLOAD_TIMEOUT_S
    )
    return response


def _copy(
    checkpoint: Checkpoint,
    target: Path,
    open_source: Callable[[], AbstractContextManager[BinaryIO]],
) -> None:
    """Copy to a temporary name, verify and rename, so that no partial file has the final name."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetch-") as folder:
            partial_file = Path(folder) / target.name
            with open_source() as source, partial_file.open("wb") as file:
                shutil.copyfileobj(source, file, 1 << 20)
            verify(partial_file, checkpoint.sha256).replace(target)
    except (urllib.error.URLError, OSError, DataError) as error:
        raise PreflightError(
            f"{checkpoint.name}: {checkpoint.file_name} could not be fetched ({error}); put the "
            f"file at {target} (sha256 {checkpoint.sha256}; published at {checkpoint.url}), or set "
            f"the models folder to one that has it"
        ) from error
