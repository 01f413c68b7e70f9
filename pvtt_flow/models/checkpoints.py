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
from importlib import resources
from pathlib import Path
from typing import BinaryIO

from pvtt_flow.errors import ConfigError, DataError, PreflightError
from pvtt_flow.models.checkpoint import Checkpoint
from pvtt_flow.models.published_detectors import published_detectors
from pvtt_flow.models.published_trackers import published_trackers

Opener = Callable[[str], AbstractContextManager[BinaryIO]]
"""Opens a uri for reading. Callers pass the one of `storage`, which `models` does not import."""

_EMBEDDED = "pvtt_flow.models.embedded"
_DOWNLOAD_TIMEOUT_S = 60
# Suffixes of files that cannot contain code; other files are treated as pickles.
_PLAIN_DATA = {".onnx", ".safetensors"}
# The license of this project, whose training code made the embedded pair.
_OWN_LICENSE = "AGPL-3.0-or-later"


def known() -> dict[str, Checkpoint]:
    """Return all named checkpoints by name, the embedded pair first."""
    embedded = (
        Checkpoint(
            name="embedded_tracker",
            file_name="sam2_embedded.pt",
            sha256=_shipped_sha256("sam2_embedded.pt"),
            license=_OWN_LICENSE,
            kind="tracker",
            config="sam2_embedded.yaml",
        ),
        Checkpoint(
            name="embedded_detector",
            file_name="detector.pt",
            sha256=_shipped_sha256("detector.pt"),
            license=_OWN_LICENSE,
            kind="detector",
        ),
    )
    return {c.name: c for c in (*embedded, *published_trackers(), *published_detectors())}


def license_of(weights: str, *, with_phrases: bool = False) -> str | None:
    """Return the license of named weights; None for others, whose license is not known.

    `with_phrases` adds that of the text encoder.
    """
    checkpoint = known().get(weights)
    if checkpoint is None:
        return None
    if not with_phrases or checkpoint.text_encoder is None:
        return checkpoint.license
    return f"{checkpoint.license}, {checkpoint.text_encoder}: {license_of(checkpoint.text_encoder)}"


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
    default folder), then downloads from the publisher, unless it is gated. Raises PreflightError,
    which says which file to put where.
    """
    if checkpoint.url is None:
        return verify(embedded_file(checkpoint.file_name), checkpoint.sha256)
    local = default_folder() if folder is None or "://" in folder else Path(folder)
    target = local / checkpoint.file_name
    if not target.exists():
        if folder is not None and "://" in folder:
            source = f"{folder.rstrip('/')}/{checkpoint.file_name}"
            _copy(checkpoint, target, lambda: open_uri(source))
        elif checkpoint.gated:
            raise PreflightError(
                f"{checkpoint.name}: {checkpoint.file_name} must be at {target}, and is not; its "
                f"publisher gives it only to accounts that accepted its license, "
                f"{checkpoint.license}: accept it at {checkpoint.url}, then put the file there "
                f"(sha256 {checkpoint.sha256}), or set the models folder to one that has it"
            )
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
            f"file at {target} (sha256 {checkpoint.sha256}; published at {checkpoint.url} under "
            f"the license {checkpoint.license}), or set the models folder to one that has it"
        ) from error
