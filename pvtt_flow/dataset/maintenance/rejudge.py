"""Write new verdicts into the dataset, from the measurements that are in it."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from deltalake.transaction import AddAction

from pvtt_flow.dataset.file_actions import Edit, files_of, partition_of
from pvtt_flow.dataset.maintenance.schema_evolution import rows_as
from pvtt_flow.dataset.tables import MASKLETS, SCHEMAS, read_file, write_file
from pvtt_flow.dataset.transactions import Base, Step, advance
from pvtt_flow.types import Measurements, VerdictName

Verdict = tuple[VerdictName, tuple[str, ...]]
JudgeRule = Callable[[Measurements], Verdict]
# Reading and writing files is mostly waiting, for disks and for stores.
_THREADS = 4


@dataclass(slots=True)
class Rejudged:
    """What came of it."""

    version: int
    changes: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Masklets whose verdict changed, by the one before and the one now."""
    num_masklets: int = 0


def rejudge(uri: str, rule: JudgeRule, notes: Mapping[str, Any]) -> Rejudged:
    """Give every measured masklet the verdict of `rule`, as a new version of the dataset.

    Only files in which something changes are written anew; there is no new version when nothing
    does.
    """
    done = Rejudged(0)

    def step(base: Base) -> Step | None:
        done.changes, done.num_masklets = Counter(), 0
        files = files_of(base.masklets).to_pylist()
        with ThreadPoolExecutor(_THREADS) as pool:
            judged = list(pool.map(lambda file: _judged(f"{uri}/{MASKLETS}", file, rule), files))
        for one in judged:
            done.changes += one.changes
            done.num_masklets += one.num_rows
        changed = [(f["path"], j.added) for f, j in zip(files, judged, strict=True) if j.added]
        edit = Edit(frozenset(path for path, _ in changed), tuple(added for _, added in changed))
        verdicts = {f"{old}_to_{new}": n for (old, new), n in done.changes.items()}
        return Step(name="judge", masklets=edit, notes={**notes, **verdicts}) if edit else None

    done.version = advance(uri, step)
    return done


@dataclass(frozen=True, slots=True)
class _File:
    num_rows: int
    changes: Counter[tuple[str, str]]
    added: AddAction | None


def _judged(root: str, file: Mapping[str, Any], rule: JudgeRule) -> _File:
    known = read_file(root, file["path"], ["qc", "verdict", "reasons"])
    before = list(zip(known["verdict"].to_pylist(), known["reasons"].to_pylist(), strict=True))
    measured = _measurements(known["qc"])
    after = [
        (old[0], tuple(old[1])) if qc is None else rule(qc)
        for old, qc in zip(before, measured, strict=True)
    ]
    changes = Counter(
        (str(old), str(new)) for (old, _), (new, _) in zip(before, after, strict=True) if old != new
    )
    if all((old, tuple(why)) == now for (old, why), now in zip(before, after, strict=True)):
        return _File(len(before), changes, None)
    rows = read_file(root, file["path"])
    for name, values in (("verdict", [v for v, _ in after]), ("reasons", [r for _, r in after])):
        field_ = SCHEMAS[MASKLETS].field(name)
        rows = rows.set_column(
            rows.schema.get_field_index(name), field_, pa.array(values, field_.type)
        )
    return _File(len(before), changes, write_file(root, rows, partition_of(file)))


def _measurements(qc: pa.ChunkedArray) -> Sequence[Measurements | None]:
    present = pa.Table.from_struct_array(qc.filter(qc.is_valid()))
    known = iter(rows_as(Measurements, present))
    return [next(known) if valid else None for valid in qc.is_valid().to_pylist()]
