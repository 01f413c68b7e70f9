"""The benchmark behind the layout of `masklets`: `python -m tests.bench.layout [--masklets N]`.

One dataset of N made-up masklets (two a video, 24 frames each, masks that compress like real ones)
is written in several layouts: how large a file is, how large a row group, how many partitions, and
whether files hold neighbours, as after a merge of everything, or what came together, as after
many small runs. On each of them the things that people do:

    verdicts     count all masklets by verdict
    catalog      find all masklets whose presence is above 0.9, as clips for torch do
    one          the frames of one masklet, anywhere: milliseconds, and bytes of its row group
    replace 1    commit another result of one video: what is written for it
    replace 100  the same of a hundred videos, anywhere or neighbours by partition and id

Bytes tell more than seconds here: a local disk has no latency. Prints a table and writes
`layout.json` beside this file.
"""

import argparse
import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TypeVar
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.dataset import field
from rich.console import Console
from rich.table import Table

from pvtt_flow import open_dataset
from pvtt_flow.dataset import tables
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.file_actions import FileActions, delete_videos
from pvtt_flow.dataset.snapshot import Snapshot
from pvtt_flow.dataset.tables import BUCKET, MASKLETS, bucket_of, write_file
from pvtt_flow.dataset.transactions import Transaction, commit
from pvtt_flow.readers import sample
from pvtt_flow.readers.clip_index import ClipIndex, Windows
from tests.bench.machine import describe
from tests.bench.synthetic_masklets import A_VIDEO, rows_of

OUTPUT = Path(__file__).with_name("layout.json")
_NUM_MASKLETS = 1_000_000
_NUM_READS = 30
_MIB = 1 << 20
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Layout:
    """Layout of the table's files."""

    file_mib: int = 16
    row_group_mib: int = 8
    num_buckets: int = 16
    neighbours: bool = True


_LAYOUTS = (
    Layout(),
    Layout(file_mib=64),
    Layout(file_mib=256),
    Layout(row_group_mib=1),
    Layout(row_group_mib=64),
    Layout(num_buckets=1),
    Layout(num_buckets=64),
    Layout(neighbours=False),
    Layout(neighbours=False, num_buckets=1),
    Layout(neighbours=False, num_buckets=64),
)


@dataclass(frozen=True, slots=True)
class Measured:
    """Costs of a layout."""

    layout: Layout
    num_files: int
    total_mb: float
    verdicts_s: float
    catalog_s: float
    one_ms: float
    """Median."""
    one_mb: float
    """Compressed, of all that is read for it."""
    replace_1_s: float
    replace_1_mb: float
    """Median of what is written, and deleted sooner or later."""
    replace_100_anywhere_mb: float
    replace_100_anywhere_s: float
    replace_100_in_order_mb: float
    replace_100_in_order_s: float


def main() -> None:
    """Measures every layout."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.layout")
    parser.add_argument("--masklets", type=int, default=_NUM_MASKLETS)
    options = parser.parse_args()
    machine, measured = describe("tests.bench.layout"), []
    for layout in _LAYOUTS:
        with (
            TemporaryDirectory(prefix="bench-") as folder,
            patch.object(tables, "NUM_BUCKETS", layout.num_buckets),
            patch.object(tables, "ROW_GROUP_BYTES", layout.row_group_mib * _MIB),
        ):
            dataset = Dataset(f"{folder}/dataset")
            videos = _make(dataset, layout, options.masklets)
            measured.append(_measure(dataset, layout, videos))
    _show(measured)
    record = {"machine": machine, "masklets": options.masklets}
    rows = [asdict(m) for m in measured]
    OUTPUT.write_text(json.dumps({**record, "layouts": rows}, indent=1) + "\n")


def _make(dataset: Dataset, layout: Layout, num_masklets: int) -> list[str]:
    """Write the table as compaction would have; the ids of the videos, as a plan has them."""
    dataset.ensure()
    ids = sorted(f"product-{i:07d}-3f2a91c07b" for i in range(num_masklets // A_VIDEO))
    in_order: list[str] = []
    added = []
    by_bucket: dict[int, list[str]] = {}
    for video_id in ids:
        by_bucket.setdefault(bucket_of(video_id), []).append(video_id)
    a_file = max(1, round(layout.file_mib * _MIB / _bytes_a_video()))
    for bucket, videos in sorted(by_bucket.items()):
        in_order += videos
        if not layout.neighbours:
            random.Random(bucket).shuffle(videos)
        for start in range(0, len(videos), a_file):
            rows = rows_of(videos[start : start + a_file])
            added.append(write_file(f"{dataset.uri}/{MASKLETS}", rows, {BUCKET: str(bucket)}))
    commit(
        dataset.uri,
        lambda _: Transaction(operation="run", masklets=FileActions(added=tuple(added))),
    )
    return in_order


def _bytes_a_video() -> float:
    """Compressed."""
    rows = rows_of([f"v{i}" for i in range(1000)])
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, compression="zstd")
    return float(sink.getvalue().size / 1000)


def _measure(dataset: Dataset, layout: Layout, videos: Sequence[str]) -> Measured:
    opened = open_dataset(dataset.uri)
    scan = opened.masklets()
    sizes = [Path(path).stat().st_size for path in scan.files]
    verdicts_s, _ = _timed(lambda: scan.to_table(columns=["verdict"]).group_by("verdict"))
    catalog_s, index = _timed(lambda: _catalog(dataset))
    one_ms, one_mb = _one(index)
    chance = random.Random(5)
    singles = [_replace(dataset, [chance.choice(videos)]) for _ in range(5)]
    anywhere_s, anywhere_mb = _replace(dataset, chance.sample(videos, 100))
    middle = len(videos) // 2
    in_order_s, in_order_mb = _replace(dataset, videos[middle : middle + 100])
    return Measured(
        layout=layout,
        num_files=len(sizes),
        total_mb=sum(sizes) / 1e6,
        verdicts_s=verdicts_s,
        catalog_s=catalog_s,
        one_ms=one_ms,
        one_mb=one_mb,
        replace_1_s=median(seconds for seconds, _ in singles),
        replace_1_mb=median(mb for _, mb in singles),
        replace_100_anywhere_mb=anywhere_mb,
        replace_100_anywhere_s=anywhere_s,
        replace_100_in_order_mb=in_order_mb,
        replace_100_in_order_s=in_order_s,
    )


def _catalog(dataset: Dataset) -> ClipIndex:
    opened, good = open_dataset(dataset.uri), field("qc", "presence") > 0.9
    root = f"{dataset.uri}/{MASKLETS}"
    # No videos are there to be joined with: what is measured is finding the masklets.
    with patch("pvtt_flow.readers.clip_index._with_sources", lambda places, _: places):
        return ClipIndex(root, opened.masklets(), opened.videos(), Windows(num_frames=8), good)


def _one(index: ClipIndex) -> tuple[float, float]:
    """Milliseconds and MB of a masklet's frames."""
    chance, times, sizes = random.Random(7), [], []
    for _ in range(_NUM_READS):
        place = index.row(chance.randrange(index.rows.num_rows))
        sample._row_group.cache_clear()
        times.append(_timed(partial(sample.MaskletRow, index.root, place))[0])
        file = pq.ParquetFile(f"{index.root}/{place['path']}").metadata
        group = file.row_group(place["row_group"])
        columns = [group.column(i) for i in range(group.num_columns)]
        read = [c for c in columns if c.path_in_schema.split(".")[0] in sample._COLUMNS]
        sizes.append(file.serialized_size + sum(c.total_compressed_size for c in read))
    return median(times) * 1e3, median(sizes) / 1e6


def _replace(dataset: Dataset, videos: Sequence[str]) -> tuple[float, float]:
    """Seconds, and MB written, to take the rows of some videos out of the table."""
    root = f"{dataset.uri}/{MASKLETS}"
    written = 0

    def transaction(snapshot: Snapshot) -> Transaction:
        nonlocal written
        actions = delete_videos(snapshot.masklets, root, videos)
        written = sum(file.size for file in actions.added)
        return Transaction(operation="run", masklets=actions)

    seconds, _ = _timed(lambda: commit(dataset.uri, transaction))
    return seconds, written / 1e6


def _timed(action: Callable[[], T]) -> tuple[float, T]:
    started = time.perf_counter()
    result = action()
    return time.perf_counter() - started, result


def _show(measured: Sequence[Measured]) -> None:
    names = [
        "file, MiB", "row group, MiB", "partitions", "neighbours", "files", "verdicts, s",
        "catalog, s", "one, ms", "one, MB", "replace 1, s", "MB", "100 anywhere, MB", "s",
        "100 in order, MB", "s",
    ]  # fmt: skip
    table = Table(*names)
    for m in measured:
        numbers = (
            *(m.verdicts_s, m.catalog_s, m.one_ms, m.one_mb, m.replace_1_s, m.replace_1_mb),
            *(m.replace_100_anywhere_mb, m.replace_100_anywhere_s),
            *(m.replace_100_in_order_mb, m.replace_100_in_order_s),
        )
        table.add_row(*map(str, asdict(m.layout).values()), str(m.num_files),
                      *(f"{number:.3g}" for number in numbers))  # fmt: skip
    Console(width=190).print(table)


if __name__ == "__main__":
    main()
