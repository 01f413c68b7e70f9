"""Check of a dataset: which files are lost or damaged, and which videos that concerns."""

from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pvtt_flow.dataset.checkpoints import damaged_checkpoints
from pvtt_flow.dataset.damage import DamagedFileError
from pvtt_flow.dataset.delta import tables_exist
from pvtt_flow.dataset.file_actions import PARTITION, files_of
from pvtt_flow.dataset.log_entries import damaged_entries
from pvtt_flow.dataset.snapshot import Snapshot, snapshot_at
from pvtt_flow.dataset.stats import HIGH, LOW
from pvtt_flow.dataset.tables import BUCKET, LOG, MASKLETS, VIDEOS, bucket_of, read_file
from pvtt_flow.storage.filesystems import filesystem
from pvtt_flow.storage.retry import with_retries

# Threads mostly wait for the store.
_THREADS = 8
_COPY_BACK = "copy it back from a backup: entries of a log cannot be repaired"
Damaged = Mapping[str, Collection[str]]
"""Paths of lost and damaged files, by table."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Lost or damaged file of a dataset."""

    uri: str
    problem: str
    """Phrase that follows the uri: `is lost`."""
    video_ids: tuple[str, ...] = ()
    """Videos that lost rows with the file, as far as the other files tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """Result of a check."""

    version: int | None
    """Checked version, the latest; None if a log is damaged."""
    num_files: int = 0
    findings: tuple[Finding, ...] = ()
    damaged: Damaged
    lost_video_ids: tuple[str, ...] = ()
    """Videos that have lost rows; a repair forgets them."""


def check(uri: str, *, deep: bool = False, on_file: Callable[[], None] = lambda: None) -> Checked:
    """Look for lost and damaged files of the latest version, and for damaged entries of the logs.

    Compares the sizes of files with the log; `deep` reads all files, verifies their checksums and
    columns, and compares checkpoints of the logs with their entries. `on_file` is called after each
    file. Raises PreflightError and StoreError if the store cannot be read.
    """
    if not tables_exist(uri, key=None):
        snapshot_at(uri)  # raises the reason
    tables = (VIDEOS, MASKLETS)
    entries = [e for table in tables for e in damaged_entries(uri, table, on_file)]
    broken = [Finding(entry, f"is lost or damaged; {_COPY_BACK}") for entry in entries]
    if deep and not broken:
        checkpoints = [c for table in tables for c in damaged_checkpoints(uri, table)]
        broken = [Finding(c.uri, f"is damaged; {c.remedy}") for c in checkpoints]
    if broken:
        return Checked(version=None, findings=tuple(broken), damaged={})
    snapshot = snapshot_at(uri)
    problems = {
        table: dict(_problems(snapshot, table, deep=deep, on_file=on_file))
        for table in (VIDEOS, MASKLETS)
    }
    findings = []
    lost: tuple[str, ...] = ()
    if any(problems.values()):
        lost = lost_videos(snapshot, problems)
        findings = [
            Finding(f"{uri}/{table}/{path}", problem, _videos_in(snapshot, table, path, lost))
            for table, by_path in problems.items()
            for path, problem in by_path.items()
        ]
    elif not _rows_add_up(snapshot):
        lost = lost_videos(snapshot, {})
        findings = [Finding(f"{uri}/{MASKLETS}/{LOG}", "lacks or repeats rows", lost)]
    return Checked(
        version=snapshot.version,
        num_files=snapshot.num_files(),
        findings=tuple(findings),
        damaged=problems,
        lost_video_ids=lost,
    )


def _rows_add_up(snapshot: Snapshot) -> bool:
    """Return whether the log of `masklets` has as many rows as `videos` says."""
    wanted = _rows(snapshot, VIDEOS, {}, ["num_masklets"])["num_masklets"]
    found = files_of(snapshot.masklets)["num_records"]
    return (pc.sum(wanted).as_py() or 0) == (pc.sum(found).as_py() or 0)


def lost_videos(snapshot: Snapshot, damaged: Damaged) -> tuple[str, ...]:
    """Return the videos that have rows in the other files, and lost some with the damaged ones."""
    videos = _rows(snapshot, VIDEOS, damaged, ["video_id", "num_masklets"])
    ids = _rows(snapshot, MASKLETS, damaged, ["video_id"])["video_id"]
    found = {row["values"]: row["counts"] for row in pc.value_counts(ids).to_pylist()}
    wanted = dict(zip(*(videos[name].to_pylist() for name in videos.column_names), strict=True))
    both = wanted.keys() | found.keys()
    return tuple(sorted(i for i in both if wanted.get(i, -1) != found.get(i, 0)))


def _rows(snapshot: Snapshot, table: str, damaged: Damaged, columns: list[str]) -> pa.Table:
    """Read columns of all files of a table that are not damaged."""
    log = snapshot.table(table)
    paths = [p for p in files_of(log)["path"].to_pylist() if p not in damaged.get(table, ())]
    with ThreadPoolExecutor(_THREADS) as pool:
        parts = list(pool.map(lambda p: read_file(f"{snapshot.uri}/{table}", p, columns), paths))
    schema = pa.schema(log.schema().to_arrow())
    return pa.concat_tables([pa.schema([schema.field(n) for n in columns]).empty_table(), *parts])


def _problems(
    snapshot: Snapshot, table: str, *, deep: bool, on_file: Callable[[], None]
) -> Iterator[tuple[str, str]]:
    """Yield path and problem of each lost or damaged file of a table."""
    root = f"{snapshot.uri}/{table}"
    log = snapshot.table(table)
    files, folder = filesystem(root)
    found = with_retries(partial(files.find, folder, detail=True))
    sizes = {path: info["size"] for path, info in found.items()}
    schema = pa.schema(log.schema().to_arrow())

    def problem_of(file: Mapping[str, Any]) -> str | None:
        path, wanted = file["path"], file["size_bytes"]
        size_bytes = sizes.get(f"{folder}/{path}")
        if size_bytes is None:
            return "is lost"
        if size_bytes != wanted:
            return f"has {size_bytes} bytes instead of {wanted}"
        return _problem_inside(root, file, schema) if deep else None

    rows = files_of(log).to_pylist()
    with ThreadPoolExecutor(_THREADS) as pool:
        for file, problem in zip(rows, pool.map(problem_of, rows), strict=True):
            on_file()
            if problem is not None:
                yield file["path"], problem


def _problem_inside(root: str, file: Mapping[str, Any], schema: pa.Schema) -> str | None:
    try:
        num_rows = read_file(root, file["path"], schema=schema).num_rows
    except DamagedFileError:
        return "has other bytes than were written"
    wanted = file["num_records"]
    return None if num_rows == wanted else f"has {num_rows} rows instead of {wanted}"


def _videos_in(
    snapshot: Snapshot, table: str, path: str, video_ids: Collection[str]
) -> tuple[str, ...]:
    """Return those of the videos that may have rows in a file, by its statistics in the log."""
    log = snapshot.table(table)
    (file,) = files_of(log, [path]).to_pylist()
    low, high = file.get(f"{LOW}video_id") or "", file.get(f"{HIGH}video_id")
    bucket = file.get(f"{PARTITION}{BUCKET}")
    return tuple(
        i
        for i in video_ids
        if i >= low and (high is None or i <= high) and bucket in (None, bucket_of(i))
    )
