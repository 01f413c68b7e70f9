"""Weights of your own, which a path or the uri of an object or an OpenVINO folder names.

What is in a bucket is copied once to each machine, to a name that starts with its SHA-256.
"""

import re
import shutil
import tempfile
from pathlib import Path
from urllib.parse import unquote

from pvtt_flow.errors import ConfigError, DataError, PreflightError, StoreError
from pvtt_flow.models.checkpoints import (
    Opener,
    default_folder,
    require_sha256,
    sha256_of,
    trusted_file,
    verify,
)

# Buckets are not listed here: a folder has the files that ultralytics exports, by its own name.
_OPENVINO = re.compile("(.+?)(_int8)?_openvino_model")


def is_remote(weights: str) -> bool:
    """Return whether the weights must be fetched."""
    return "://" in weights and not weights.startswith("file://")


def own_weights(
    weights: str, sha256: str | None, section: str, folder: str | None, open_uri: Opener
) -> Path:
    """Return weights as a local file or folder; `section` is that of the config, for errors.

    Raises PreflightError if they are missing or have another hash, and ConfigError if they may
    contain code and have no hash.
    """
    if is_remote(weights):
        return _fetch(weights, sha256, section, folder, open_uri)
    path = unquote(weights.removeprefix("file://")) if weights.startswith("file://") else weights
    return trusted_file(Path(path).expanduser(), sha256, f"$.{section}.sha256")


def _fetch(
    uri: str, sha256: str | None, section: str, folder: str | None, open_uri: Opener
) -> Path:
    key = f"$.{section}.weights"
    name = uri.rstrip("/").rpartition("/")[2]
    is_file = not uri.endswith("/")
    if uri.startswith(("http://", "https://")) or not (is_file or _OPENVINO.fullmatch(name)):
        wanted = "a path or an object in a bucket" if is_file else "one file or an OpenVINO folder"
        # Without its query, which may be a signature.
        raise ConfigError(f"{key} must be {wanted}, got {uri.partition('?')[0]}; copy it to one")
    local = default_folder() if folder is None or is_remote(folder) else Path(folder)
    if sha256 is not None and (local / f"{sha256}-{name}").exists():
        return verify(local / f"{sha256}-{name}", sha256)
    try:
        local.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=local, prefix=".fetch-") as partial_folder:
            partial = Path(partial_folder) / name
            _copy(uri.rstrip("/"), partial, open_uri)
            actual = sha256_of(partial)
            if sha256 not in {None, actual}:
                raise PreflightError(f"{key}: {uri} must have sha256 {sha256}, got {actual}")
            if sha256 is None:
                require_sha256(partial, uri, f"$.{section}.sha256")
            target = local / f"{actual}-{name}"
            try:
                return partial.replace(target)
            except OSError:
                # A folder does not replace the same one, which another process has fetched.
                return verify(target, actual)
    except (OSError, DataError, StoreError) as error:
        reason = str(error).removeprefix("$.input.uri: ")
        raise PreflightError(f"{key} cannot be fetched to {local}: {reason}") from error


def _copy(uri: str, target: Path, open_uri: Opener) -> None:
    """Copy an object, or the three files of an OpenVINO folder."""
    folder = _OPENVINO.fullmatch(target.name)
    if folder is None:
        with open_uri(uri) as source, target.open("wb") as file:
            shutil.copyfileobj(source, file, 1 << 20)
        return
    target.mkdir()
    for name in (f"{folder[1]}.xml", f"{folder[1]}.bin", "metadata.yaml"):
        _copy(f"{uri}/{name}", target / name, open_uri)
