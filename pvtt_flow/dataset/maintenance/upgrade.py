"""Upgrade of an older dataset to the columns of this version."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.transaction import AddAction

from pvtt_flow.core.fragments import fragments_of
from pvtt_flow.dataset.arrow import from_table, to_table
from pvtt_flow.dataset.columns import check_not_newer, other_columns
from pvtt_flow.dataset.file_actions import FileActions, files_of, partition_of
from pvtt_flow.dataset.maintenance.schema_evolution import conform
from pvtt_flow.dataset.readme import write_readme
from pvtt_flow.dataset.snapshot import Snapshot
from pvtt_flow.dataset.tables import MASKLETS, SCHEMAS, VIDEOS, read_file, write_file
from pvtt_flow.dataset.transactions import Transaction, commit
from pvtt_flow.types import Masklet, MaskletFrame, VideoRecord

_THREADS = 4
_LARGEST_BOX = "largest_fragment_box_xyxy"


def upgrade(uri: str) -> int:
    """Rewrite all rows with the columns of this version; returns the dataset's version.

    The boxes of the largest fragments are computed from the stored masks, without a model. A
    dataset that has these columns gets at most a missing README.md. Earlier versions stay readable.
    Raises PreflightError for a dataset of a newer version, whose unknown columns would be lost.
    """

    def transaction(snapshot: Snapshot) -> Transaction | None:
        check_not_newer(snapshot)
        if not any(other_columns(snapshot, name) for name in SCHEMAS):
            return None
        return Transaction(
            operation="upgrade",
            videos=_conformed(f"{uri}/{VIDEOS}", snapshot.videos, VideoRecord),
            masklets=_conformed(f"{uri}/{MASKLETS}", snapshot.masklets, Masklet),
        )

    version = commit(uri, transaction)
    write_readme(uri)
    return version


def _conformed(root: str, table: DeltaTable, cls: type) -> FileActions:
    files = files_of(table).to_pylist()

    def conformed(file: Mapping[str, Any]) -> AddAction:
        older = read_file(root, file["path"])
        rows = conform(older, cls)
        if cls is Masklet and _lacks_largest_boxes(older.schema):
            rows = _with_largest_boxes(rows)
        return write_file(root, rows, partition_of(file))

    with ThreadPoolExecutor(_THREADS) as pool:
        added = tuple(pool.map(conformed, files))
    return FileActions(frozenset(file["path"] for file in files), added)


def _lacks_largest_boxes(masklets: pa.Schema) -> bool:
    return _LARGEST_BOX not in {field.name for field in masklets.field("frames").type.value_type}


def _with_largest_boxes(rows: pa.Table) -> pa.Table:
    masklets = [
        replace(masklet, frames=tuple(_with_largest_box(f, masklet) for f in masklet.frames))
        for masklet in from_table(Masklet, rows)
    ]
    return to_table(Masklet, masklets)


def _with_largest_box(frame: MaskletFrame, masklet: Masklet) -> MaskletFrame:
    box_xyxy = frame.box_xyxy
    if frame.rle is not None and frame.fragments > 1:
        box_xyxy = fragments_of(frame.rle, masklet.height_px).largest_box_xyxy
    return replace(frame, largest_fragment_box_xyxy=box_xyxy)
