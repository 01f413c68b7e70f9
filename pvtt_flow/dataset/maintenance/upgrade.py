"""Upgrade of an older dataset to the columns of this version."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties
from deltalake.exceptions import DeltaError
from deltalake.transaction import AddAction

from pvtt_flow.core import qc
from pvtt_flow.core.mask_shape import with_previous_iou, with_shape
from pvtt_flow.dataset.arrow import from_table, to_table
from pvtt_flow.dataset.columns import check_not_newer, other_columns
from pvtt_flow.dataset.delta import PROPERTIES, open_table
from pvtt_flow.dataset.file_actions import FileActions, files_of, partition_of
from pvtt_flow.dataset.maintenance.schema_evolution import conform
from pvtt_flow.dataset.readme import write_readme
from pvtt_flow.dataset.snapshot import Snapshot
from pvtt_flow.dataset.tables import KEY, MASKLETS, SCHEMAS, VIDEOS, read_file, write_file
from pvtt_flow.dataset.transactions import Transaction, commit
from pvtt_flow.errors import StoreError
from pvtt_flow.storage.store_errors import describe
from pvtt_flow.storage.uris import redact_uri
from pvtt_flow.types import Masklet, VideoRecord

_THREADS = 4
_MEASURED = "previous_iou"
"""Last field of `frames` that is computed from the masks."""


def upgrade(uri: str) -> int:
    """Rewrite all rows with the columns of this version; returns the dataset's version.

    Shapes of masks, and the measurements of masklets that had some, are computed from the stored
    masks, without a model; what only the tracker knew stays null. A dataset that has these columns
    gets at most a missing README.md. Earlier versions stay readable.
    Raises PreflightError for a dataset of a newer version, whose unknown columns would be lost.
    """

    def transaction(snapshot: Snapshot) -> Transaction | None:
        check_not_newer(snapshot)
        if not any(other_columns(snapshot, name) for name in SCHEMAS):
            return None
        _set_properties(uri)
        return Transaction(
            operation="upgrade",
            videos=_conformed(f"{uri}/{VIDEOS}", snapshot.videos, VideoRecord),
            masklets=_conformed(f"{uri}/{MASKLETS}", snapshot.masklets, Masklet),
        )

    version = commit(uri, transaction)
    write_readme(uri)
    return version


def _set_properties(uri: str) -> None:
    """Give `masklets` the properties of new tables, with a commit that changes no rows.

    No version of the dataset names it; the next transaction builds on it.
    """
    table = open_table(uri, MASKLETS)
    if table.metadata().configuration == PROPERTIES:
        return
    try:
        table.alter.set_table_properties(
            PROPERTIES,
            commit_properties=CommitProperties(max_commit_retries=0),
            post_commithook_properties=PostCommitHookProperties(cleanup_expired_logs=False),
        )
    except (DeltaError, OSError) as error:
        raise StoreError(
            f"{KEY}: the properties of {redact_uri(uri)} must be set, but {describe(error, uri)}; "
            "run the upgrade again while nothing else writes"
        ) from error


def _conformed(root: str, table: DeltaTable, cls: type) -> FileActions:
    files = files_of(table).to_pylist()

    def conformed(file: Mapping[str, Any]) -> AddAction:
        older = read_file(root, file["path"])
        rows = conform(older, cls)
        if cls is Masklet and _lacks_measurements(older.schema):
            rows = to_table(Masklet, [_measured(each) for each in from_table(Masklet, rows)])
        return write_file(root, rows, partition_of(file))

    with ThreadPoolExecutor(_THREADS) as pool:
        added = tuple(pool.map(conformed, files))
    return FileActions(frozenset(file["path"] for file in files), added)


def _lacks_measurements(masklets: pa.Schema) -> bool:
    return _MEASURED not in {field.name for field in masklets.field("frames").type.value_type}


def _measured(masklet: Masklet) -> Masklet:
    """Return the masklet with what its masks tell."""
    height_px, width_px = masklet.height_px, masklet.width_px
    shaped = (with_shape(frame, height_px) for frame in masklet.frames)
    frames = with_previous_iou(shaped, height_px, width_px)
    if masklet.qc is None:
        return replace(masklet, frames=frames)
    measured = qc.measure(frames, masklet.prompts, width_px=width_px, height_px=height_px)
    return replace(masklet, frames=frames, qc=measured)
