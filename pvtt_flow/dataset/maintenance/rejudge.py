"""New verdicts from the stored measurements, without processing videos."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from typing import Any

import pyarrow as pa
from deltalake.transaction import AddAction

from pvtt_flow.core.qc import Judged
from pvtt_flow.dataset.file_actions import FileActions, files_of, partition_of
from pvtt_flow.dataset.maintenance.schema_evolution import rows_as
from pvtt_flow.dataset.snapshot import Snapshot
from pvtt_flow.dataset.tables import MASKLETS, SCHEMAS, read_file, write_file
from pvtt_flow.dataset.transactions import Transaction, commit
from pvtt_flow.types import Measurements

JudgeRule = Callable[[Measurements, str], Judged]
"""Judges a masklet by its measurements and the hash of its tracker's weights."""
# Threads mostly wait for the store.
_THREADS = 4
_JUDGED = tuple(field.name for field in fields(Judged))


@dataclass(slots=True)
class Rejudged:
    """Result of judging a dataset again."""

    version: int
    changes: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Number of masklets whose verdict changed, by the verdict before and after."""
    num_masklets: int = 0


def rejudge(
    uri: str, rule: JudgeRule, notes: Mapping[str, Any], *, always: bool = False
) -> Rejudged:
    """Give each measured masklet the verdict of `rule`, as a new version of the dataset.

    Only files with changes are rewritten. Without changes there is a new version only if `always`
    is true: its notes say by what the masklets were judged.
    """
    result = Rejudged(0)
    root = f"{uri}/{MASKLETS}"

    def transaction(snapshot: Snapshot) -> Transaction | None:
        result.changes, result.num_masklets = Counter(), 0
        files = files_of(snapshot.masklets).to_pylist()
        schema = pa.schema(snapshot.masklets.schema().to_arrow())
        with ThreadPoolExecutor(_THREADS) as pool:
            judged = list(pool.map(lambda file: _judge_file(root, file, rule, schema), files))
        for file in judged:
            result.changes += file.changes
            result.num_masklets += file.num_rows
        changed = [(f["path"], j.added) for f, j in zip(files, judged, strict=True) if j.added]
        actions = FileActions(
            frozenset(path for path, _ in changed), tuple(added for _, added in changed)
        )
        verdicts = {f"{old}_to_{new}": n for (old, new), n in result.changes.items()}
        return (
            Transaction(operation="judge", masklets=actions, notes={**notes, **verdicts})
            if actions or always
            else None
        )

    result.version = commit(uri, transaction)
    return result


@dataclass(frozen=True, slots=True)
class _File:
    num_rows: int
    changes: Counter[tuple[str, str]]
    added: AddAction | None


def _judge_file(root: str, file: Mapping[str, Any], rule: JudgeRule, schema: pa.Schema) -> _File:
    # Datasets that were not upgraded lack the later ones.
    names = [name for name in _JUDGED if name in schema.names]
    columns = read_file(root, file["path"], ["qc", "tracker_hash", *names])
    before = [tuple(row.values()) for row in columns.select(names).to_pylist()]
    hashes = columns["tracker_hash"].to_pylist()
    after = [
        old if qc is None else _columns(rule(qc, tracker), names)
        for old, qc, tracker in zip(before, _measurements(columns["qc"]), hashes, strict=True)
    ]
    verdict = names.index("verdict")
    changes = Counter(
        (str(old[verdict]), str(new[verdict]))
        for old, new in zip(before, after, strict=True)
        if old[verdict] != new[verdict]
    )
    if before == after:
        return _File(len(before), changes, None)
    rows = read_file(root, file["path"], schema=schema)
    for name, values in zip(names, zip(*after, strict=True), strict=True):
        field_ = SCHEMAS[MASKLETS].field(name)
        rows = rows.set_column(
            rows.schema.get_field_index(name), field_, pa.array(values, field_.type)
        )
    return _File(len(before), changes, write_file(root, rows, partition_of(file)))


def _columns(judged: Judged, names: Sequence[str]) -> tuple[Any, ...]:
    values = (getattr(judged, name) for name in names)
    return tuple(list(value) if isinstance(value, tuple) else value for value in values)


def _measurements(qc: pa.ChunkedArray) -> Sequence[Measurements | None]:
    present = pa.Table.from_struct_array(qc.filter(qc.is_valid()))
    measurements = iter(rows_as(Measurements, present))
    return [next(measurements) if valid else None for valid in qc.is_valid().to_pylist()]
