"""New verdicts from the stored measurements, without processing videos."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from deltalake.transaction import AddAction

from pvtt_flow.dataset.file_actions import FileActions, files_of, partition_of
from pvtt_flow.dataset.maintenance.schema_evolution import rows_as
from pvtt_flow.dataset.snapshot import Snapshot
from pvtt_flow.dataset.tables import MASKLETS, SCHEMAS, read_file, write_file
from pvtt_flow.dataset.transactions import Transaction, commit
from pvtt_flow.types import Measurements, VerdictName

Verdict = tuple[VerdictName, tuple[str, ...]]
JudgeRule = Callable[[Measurements], Verdict]
# Threads mostly wait for the store.
_THREADS = 4


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
    columns = read_file(root, file["path"], ["qc", "verdict", "reasons"])
    before = list(zip(columns["verdict"].to_pylist(), columns["reasons"].to_pylist(), strict=True))
    measured = _measurements(columns["qc"])
    after = [
        (old[0], tuple(old[1])) if qc is None else rule(qc)
        for old, qc in zip(before, measured, strict=True)
    ]
    changes = Counter(
        (str(old), str(new)) for (old, _), (new, _) in zip(before, after, strict=True) if old != new
    )
    if all((old, tuple(why)) == now for (old, why), now in zip(before, after, strict=True)):
        return _File(len(before), changes, None)
    rows = read_file(root, file["path"], schema=schema)
    for name, values in (("verdict", [v for v, _ in after]), ("reasons", [r for _, r in after])):
        field_ = SCHEMAS[MASKLETS].field(name)
        rows = rows.set_column(
            rows.schema.get_field_index(name), field_, pa.array(values, field_.type)
        )
    return _File(len(before), changes, write_file(root, rows, partition_of(file)))


def _measurements(qc: pa.ChunkedArray) -> Sequence[Measurements | None]:
    present = pa.Table.from_struct_array(qc.filter(qc.is_valid()))
    measurements = iter(rows_as(Measurements, present))
    return [next(measurements) if valid else None for valid in qc.is_valid().to_pylist()]
