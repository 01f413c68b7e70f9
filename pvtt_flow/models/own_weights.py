"""Weights of your own, which a path or the uri of an object names.

An object is copied once to each machine, to a name that starts with its SHA-256.
"""

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


def is_remote(weights: str) -> bool:
    """Return whether the weights must be fetched."""
    return "://" in weights and not weights.startswith("file://")


def own_weights(
    weights: str, sha256: str | None, section: str, folder: str | None, open_uri: Opener
) -> Path:
    """Return weights as a local file; `section` is that of the config, for errors.

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
    name = uri.rpartition("/")[2]
    if uri.startswith(("http://", "https://")) or not name:
        wanted = "one file" if not name else "a path or an object in a bucket"
        # Without its query, which may be a signature.
        raise ConfigError(f"{key} must be {wanted}, got {uri.partition('?')[0]}; copy it to one")
    local = default_folder() if folder is None or is_remote(folder) else Path(folder)
    if sha256 is not None and (local / f"{sha256}-{name}").exists():
        return verify(local / f"{sha256}-{name}", sha256)
    try:
        local.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=local, prefix=".fetch-") as partial_folder:
            partial_file = Path(partial_folder) / name
            with open_uri(uri) as source, partial_file.open("wb") as file:
                shutil.copyfileobj(source, file, 1 << 20)
            actual = sha256_of(partial_file)
            if sha256 not in {None, actual}:
                raise PreflightError(f"{key}: {uri} must have sha256 {sha256}, got {actual}")
            if sha256 is None:
                require_sha256(partial_file, uri, f"$.{section}.sha256")
            return partial_file.replace(local / f"{actual}-{name}")
    except (OSError, DataError, StoreError) as error:
        reason = str(error).removeprefix("$.input.uri: ")
        raise PreflightError(f"{key} cannot be fetched to {local}: {reason}") from error
