"""States of shots in progress, saved in `unfinished/` of a dataset's folder.

A shot has one file, in a folder of its video: safetensors with plain arrays, and with a digest of
them all. It is replaced as a whole. No table knows of it. It is deleted when its video is
committed, and by `vacuum` when it is old.
"""

import hashlib
import logging
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvtt_flow.core.ids import hash_of
from pvtt_flow.errors import StoreError
from pvtt_flow.storage.files import KEY, read_bytes
from pvtt_flow.storage.folder import OutputFolder, remove_old_files
from pvtt_flow.storage.store_errors import describe

_LOG = logging.getLogger("pvtt_flow")
_FOLDER = "unfinished"
_DIGEST = "sha256"


class DamagedStateError(Exception):
    """File that is no saved state, or no longer the one that was saved."""


@dataclass(frozen=True, slots=True)
class UnfinishedShots:
    """Saved states of a dataset; `uri` is normalized."""

    uri: str

    def load(self, path: str) -> Mapping[str, NDArray[Any]] | None:
        """Return the arrays of a saved state; None if there is none.

        Raises DamagedStateError, and StoreError if the store cannot be read.
        """
        data = read_bytes(f"{self.uri}/{_FOLDER}/{path}")
        return None if data is None else _parse(data)

    def save(self, path: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Replace a saved state; raises StoreError."""
        from safetensors.numpy import save

        data = save({**arrays, _DIGEST: _digest(arrays)})
        folder, video = OutputFolder(self.uri, KEY), path.partition("/")[0]
        try:
            # What a killed process leaves there is deleted with the states of the video.
            with folder.staged(f"{_FOLDER}/{video}") as staging:
                file = staging / _FOLDER / path
                file.parent.mkdir(parents=True)
                file.write_bytes(data)
                folder.publish(staging)
        except OSError as error:
            uri = f"{self.uri}/{_FOLDER}/{path}"
            raise StoreError(
                f"{KEY}: a file must be written, but {describe(error, uri)}"
            ) from error

    def remove(self, videos: AbstractSet[str]) -> None:
        """Delete the states of videos, by their folders. What cannot be deleted is left, with a
        warning: no run reads it."""
        folder = OutputFolder(self.uri, KEY)
        try:
            for name in videos & set(folder.names(_FOLDER)):
                folder.remove(f"{_FOLDER}/{name}")
        except StoreError as error:
            _LOG.warning("saved states of finished videos stay until the next vacuum: %s", error)

    def remove_old(self, keep: timedelta, *, dry_run: bool) -> int:
        """Delete states that were saved longer ago than `keep`; return their number."""
        before = datetime.now(UTC) - keep
        return remove_old_files(f"{self.uri}/{_FOLDER}", before, KEY, dry_run=dry_run)


def video_folder(video_id: str, work_key: str) -> str:
    """Return the name of the folder of a video: another content or config has another one."""
    return hash_of({"video_id": video_id, "work_key": work_key})


def _parse(data: bytes) -> Mapping[str, NDArray[Any]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(data)
        found = arrays.pop(_DIGEST)
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise DamagedStateError(f"{type(error).__name__}: {error}") from error
    if not np.array_equal(found, _digest(arrays)):
        raise DamagedStateError("its digest is that of other bytes")
    return arrays


def _digest(arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.uint8]:
    """Return the SHA-256 of names, types, shapes and bytes, uint8 (32,)."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data)
    return np.frombuffer(digest.digest(), np.uint8)
