"""Relocation of videos: their stored uris follow a folder or bucket that has moved."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from pvtt_flow.dataset.columns import check_columns
from pvtt_flow.dataset.maintenance.row_updates import set_columns, update_rows
from pvtt_flow.dataset.snapshot import snapshot_at
from pvtt_flow.errors import ConfigError
from pvtt_flow.storage.uris import local_path, normalize_uri, uri_of

_COLUMNS = ["video_id", "uri", "input_uri"]


@dataclass(frozen=True, slots=True)
class Relocated:
    """Result of a relocation, or of its dry run."""

    num_videos: int
    """Videos whose uri or input changes."""
    num_left: int
    """Videos at the old place whose new uri another video has; they stay as they are."""
    example: tuple[str, str] | None
    """Old and new uri of one of the videos."""
    version: int
    """Version of the dataset afterwards."""


def relocate(uri: str, old_prefix: str, new_prefix: str, *, dry_run: bool = False) -> Relocated:
    """Replace the folder, bucket or prefix `old_prefix` in the uris of videos and of their inputs.

    Ids and results stay, so that a run on the new place finds the videos unchanged. Raises
    ConfigError if no video or input is at the old place.
    """
    snapshot = snapshot_at(uri)
    check_columns(snapshot)
    move = _mover(old_prefix, new_prefix)
    rows = snapshot.scan_videos().to_table(columns=_COLUMNS)
    changes, num_left = _changes(rows, move)
    if not changes and not num_left:
        raise ConfigError(
            f"OLD_PREFIX must be the place of a video in {uri}, got {normalize_uri(old_prefix)}; "
            f"list places with pvtt-flow list {uri}"
        )
    moved = sorted((old, new) for old, new, _ in changes.values() if old != new)
    version = snapshot.version
    if changes and not dry_run:
        version = update_rows(
            uri,
            "relocate",
            changes.keys(),
            lambda rows: _relocated(rows, move),
            {"from": normalize_uri(old_prefix), "to": normalize_uri(new_prefix)},
        )
    return Relocated(len(changes), num_left, moved[0] if moved else None, version)


def _changes(
    rows: pa.Table, move: Callable[[str], str]
) -> tuple[dict[str, tuple[str, str, str]], int]:
    """Return old uri, new uri and new input of each video that changes, and the number that stay
    although they are at the old place."""
    columns = [rows[name].to_pylist() for name in _COLUMNS]
    uris = set(columns[1])
    changes, num_left = {}, 0
    for video_id, uri, input_uri in zip(*columns, strict=True):
        new_uri, new_input = move(uri), move(input_uri)
        if new_uri != uri and new_uri in uris:
            num_left += 1
        elif (new_uri, new_input) != (uri, input_uri):
            changes[video_id] = (uri, new_uri, new_input)
    return changes, num_left


def _relocated(rows: pa.Table, move: Callable[[str], str]) -> pa.Table:
    uris, inputs = ([move(uri) for uri in rows[name].to_pylist()] for name in _COLUMNS[1:])
    return set_columns(rows, uri=pa.array(uris), input_uri=pa.array(inputs))


def _mover(old_prefix: str, new_prefix: str) -> Callable[[str], str]:
    """Return the function that moves the uris at one prefix to another and keeps others."""
    old, new = normalize_uri(old_prefix), normalize_uri(new_prefix)
    old_path, new_path = local_path(old), local_path(new)

    def move(uri: str) -> str:
        if uri == old:
            return new
        if uri.startswith(f"{old}/"):
            return new + uri.removeprefix(old)
        if old_path is None or new_path is None or not uri.startswith("file://"):
            return uri
        # A name that is not UTF-8 has a `file://` uri.
        path = local_path(uri) or Path(uri)
        return uri_of(new_path / path.relative_to(old_path)) if _is_in(path, old_path) else uri

    return move


def _is_in(path: Path, folder: Path) -> bool:
    return path != folder and path.is_relative_to(folder)
