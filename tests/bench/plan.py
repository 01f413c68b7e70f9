"""The benchmark of planning and committing: `python -m tests.bench.plan [--videos N,N,…]`.

    plan     a listing of N videos against a dataset of N videos, of which a tenth is new, changed,
             stale or failed, in a process of its own: seconds, and peak memory of that process
    commit   5,000 finished videos a commit into that dataset, a tenth of which replace rows of
             `videos`; workers have written their masklets, of which only the receipts count here

The dataset is real (Delta tables in a folder), its rows are made up; videos are never opened, and
listing a store is not in it. Prints a table, then one line of JSON for the largest N; writes
`plan.json` beside this file.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from pvtt_flow.config.schema import RunParams
from pvtt_flow.dataset.arrow import schema_of
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.file_actions import FileActions
from pvtt_flow.dataset.snapshot import Snapshot
from pvtt_flow.dataset.tables import MaskletFile, write_file
from pvtt_flow.dataset.transactions import Transaction, commit
from pvtt_flow.pipeline.identity import with_ids
from pvtt_flow.pipeline.plan import make_plan, work_key
from pvtt_flow.types import Lineage, Source, VideoRecord
from tests.bench.machine import describe

OUTPUT = Path(__file__).with_name("plan.json")
SIZES = (100_000, 300_000, 1_000_000)
_ROWS_A_FILE = 50_000
_COMMIT_VIDEOS, _NUM_COMMITS = 5_000, 7
_LINEAGE = Lineage(
    run_id="20260101T000000Z-0000", config_hash="c" * 16, detector_hash="d" * 64,
    tracker_hash="t" * 64, code_version="1",
)  # fmt: skip
_INPUT = "s3://bucket/videos"
_ATTRIBUTES = {"sku": "4006381333931", "split": "train"}


@dataclass(frozen=True, slots=True)
class Measured:
    """Measurement of a dataset of one size."""

    videos: int
    plan_s: float
    plan_peak_bytes: int
    commit_videos_per_s: float
    """Median over commits."""
    counts: dict[str, int]


def main() -> None:
    """Measures every size."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.plan")
    parser.add_argument("--videos", default=",".join(map(str, SIZES)))
    parser.add_argument("--plan", metavar="DATASET", help=argparse.SUPPRESS)
    options = parser.parse_args()
    sizes = [int(size) for size in options.videos.split(",")]
    if options.plan:
        print(json.dumps(_plan(options.plan, sizes[0])))
        return
    machine, measured = describe("tests.bench.plan"), []
    for size in sizes:
        with TemporaryDirectory(prefix="bench-") as folder:
            measured.append(_measure(Dataset(f"{folder}/dataset"), size))
    _show(measured)
    record = {"machine": machine, "sizes": [asdict(m) for m in measured]}
    OUTPUT.write_text(json.dumps(record, indent=1) + "\n")
    largest = asdict(measured[-1])
    del largest["counts"]
    print(json.dumps(largest))


def _measure(dataset: Dataset, size: int) -> Measured:
    _make(dataset, size)
    command = [
        sys.executable,
        "-m",
        "tests.bench.plan",
        "--plan",
        dataset.uri,
        "--videos",
        str(size),
    ]
    planned = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    speeds = [_commit(dataset, size, number) for number in range(_NUM_COMMITS)]
    return Measured(size, **planned, commit_videos_per_s=median(speeds))


def _plan(uri: str, size: int) -> dict[str, object]:
    sources = list(_listing(size))
    started = time.perf_counter()
    ledger = Dataset(uri).ledger()
    plan = make_plan(
        with_ids(sources, ledger),
        ledger,
        _LINEAGE,
        input_uri=_INPUT,
        params=RunParams(),
    )
    plan_s = time.perf_counter() - started
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"plan_s": plan_s, "plan_peak_bytes": peak_bytes, "counts": plan.counts}


def _commit(dataset: Dataset, size: int, number: int) -> float:
    """Videos a second."""
    first = number * _COMMIT_VIDEOS
    replaced = _COMMIT_VIDEOS // 10
    # Neighbours, as they are when a run takes its videos in the order of the listing.
    old = range(first, first + replaced)
    new = range(size + first, size + first + _COMMIT_VIDEOS - replaced)
    records = [_video_record(i) for i in (*old, *new)]
    files = [_file(record) for record in records]
    expected_run_ids = {_id(i): _LINEAGE.run_id for i in old}
    started = time.perf_counter()
    dataset.commit(files, records, run_id=f"run-{number}", expected_run_ids=expected_run_ids)
    return _COMMIT_VIDEOS / (time.perf_counter() - started)


def _make(dataset: Dataset, size: int) -> None:
    dataset.ensure()
    root = f"{dataset.uri}/videos"
    added = [
        write_file(root, _rows(range(start, min(start + _ROWS_A_FILE, size))), {})
        for start in range(0, size, _ROWS_A_FILE)
    ]

    def transaction(_: Snapshot) -> Transaction:
        return Transaction(operation="run", videos=FileActions(added=tuple(added)))

    commit(dataset.uri, transaction)


def _rows(indices: range) -> pa.Table:
    """Rows of `videos`, without making an object of each."""
    example, num_rows = asdict(_video_record(0)), len(indices)
    numbers = np.arange(indices.start, indices.stop)
    varied = {
        "video_id": [_id(i) for i in indices],
        "uri": [_uri(i) for i in indices],
        "etag": [_etag(i) for i in indices],
        "content_hash": [f"{i:064x}" for i in indices],
        "work_key": [work_key(_source(i), _LINEAGE) for i in indices],
        "status": np.where(numbers % 100 == 3, "failed", "ok"),
        "attempts": np.where(numbers % 100 == 3, 1, 0),
    }
    columns = [
        pa.array(varied[f.name], f.type)
        if f.name in varied
        else pa.array([example[f.name]] * num_rows, f.type)
        for f in schema_of(VideoRecord)
    ]
    return pa.Table.from_arrays(columns, schema=schema_of(VideoRecord))


def _listing(size: int) -> Iterator[Source]:
    """Make a listing in which nine of ten videos are unchanged, with some for each other reason."""
    for i in range(size):
        if i % 100 == 0:
            yield _source(size + i)
        elif i % 100 in (1, 2):
            yield _source(i, etag=f"changed-{i}")
        elif i % 100 != 4:
            yield _source(i)


def _source(i: int, *, etag: str | None = None) -> Source:
    return Source(
        video_id=_id(i),
        uri=_uri(i),
        name=_uri(i).removeprefix(f"{_INPUT}/"),
        etag=etag or _etag(i),
        size_bytes=5_000_000,
        input_uri=_INPUT,
        attributes=_ATTRIBUTES,
    )


def _video_record(i: int) -> VideoRecord:
    return VideoRecord(
        video_id=_id(i), uri=_uri(i), etag=_etag(i), size_bytes=5_000_000,
        container="mov,mp4,m4a,3gp,3g2,mj2", codec="h264", pixel_format="yuv420p",
        width_px=1080, height_px=1920, coded_width_px=1920, coded_height_px=1080,
        rotation_deg=90, fps_num=30, fps_den=1, duration_ns=10_000_000_000, num_frames=300,
        num_shots=1, num_masklets=1, flags=(), inspect_s=0.1, detect_s=0.1, propagate_s=3.0,
        status="ok", failure_stage=None, failure_kind=None, failure_message=None,
        failure_traceback=None, attempts=0, input_uri=_INPUT, gone_at_ns=None,
        work_key="k" * 16, finished_at_ns=1_700_000_000_000_000_000 + i, content_hash=f"{i:064x}",
        attributes=_ATTRIBUTES, **asdict(_LINEAGE),
    )  # fmt: skip


def _file(record: VideoRecord) -> MaskletFile:
    """A receipt, as a worker sends it; nobody reads the file."""
    bounds = {"video_id": record.video_id, "masklet_id": f"{record.video_id}/s0000@0/o000"}
    stats = {"numRecords": 1, "minValues": bounds, "maxValues": bounds, "nullCount": {}}
    return MaskletFile(
        path=f"bucket=0/{record.video_id}.zstd.parquet",
        size_bytes=150_000,
        num_rows=1,
        bucket=0,
        video_ids=(record.video_id,),
        stats_json=json.dumps(stats),
    )


def _id(i: int) -> str:
    return f"product-{i:09d}-3f2a91c07b"


def _uri(i: int) -> str:
    return f"{_INPUT}/{i // 1000:06d}/product-{i:09d}.mp4"


def _etag(i: int) -> str:
    return f"{i:032x}"


def _show(measured: Sequence[Measured]) -> None:
    table = Table("videos", "plan, s", "peak, MB", "commit, videos/s")
    for m in measured:
        table.add_row(
            f"{m.videos:,}",
            f"{m.plan_s:.1f}",
            f"{m.plan_peak_bytes / 1e6:,.0f}",
            f"{m.commit_videos_per_s:,.0f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
