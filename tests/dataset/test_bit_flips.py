"""Files with a flipped bit: an error that names the file, and never other rows."""

import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pvtt_flow import open_dataset
from pvtt_flow.dataset.damage import DamagedFileError
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.diff import diff
from pvtt_flow.dataset.history import open_snapshot
from pvtt_flow.dataset.maintenance.compact import FULL, compact
from pvtt_flow.dataset.tables import read_file
from pvtt_flow.errors import StoreError
from tests.dataset.dataset_rows import masklet
from tests.dataset.datasets import new_dataset, publish

if TYPE_CHECKING:
    from tests.conftest import S3Server

NUM_FLIPS = 150


def bounds_of_pages(file: Path) -> tuple[int, int]:
    """Return the bytes `[start, stop)` with pages; the footer and its length follow."""
    data = file.read_bytes()
    return 4, len(data) - 8 - int.from_bytes(data[-8:-4], "little")


def flip(data: bytes, place: int, bit: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]


def flip_in_column(file: Path, name: str) -> None:
    """Flip a bit in the middle of a column's pages."""
    group = pq.read_metadata(file).row_group(0)
    (column,) = (c for c in map(group.column, range(group.num_columns)) if c.path_in_schema == name)
    first = column.dictionary_page_offset or column.data_page_offset
    file.write_bytes(flip(file.read_bytes(), first + column.total_compressed_size - 1, 3))


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    made = new_dataset(tmp_path)
    publish(made, *(masklet("a", n, num_frames=30, label=f"cup {n}") for n in range(8)))
    return made


def file_of(dataset: Dataset, table: str = "masklets") -> Path:
    (file,) = Path(dataset.uri, table).rglob("*.parquet")
    return file


def by_file(dataset: Dataset) -> pa.Table:
    root = Path(dataset.uri, "masklets")
    return read_file(str(root), str(file_of(dataset).relative_to(root)))


def by_scan(dataset: Dataset) -> pa.Table:
    return open_dataset(dataset.uri).masklets().to_table()


@pytest.mark.parametrize("read", [by_file, pytest.param(by_scan, marks=pytest.mark.slow)])
def test_no_flipped_bit_of_a_page_gives_other_rows(
    dataset: Dataset, read: Callable[[Dataset], pa.Table]
) -> None:
    file, rows = file_of(dataset), read(dataset)
    data, rng, num_errors = file.read_bytes(), random.Random(7), 0
    for _ in range(NUM_FLIPS):
        place, bit = rng.randrange(*bounds_of_pages(file)), rng.randrange(8)
        file.write_bytes(flip(data, place, bit))
        try:
            found = read(dataset)
        except (StoreError, OSError, pa.ArrowException):
            num_errors += 1
        else:
            assert found.equals(rows), f"bit {bit} of byte {place}"
        file.write_bytes(data)
    # The others are in page headers, in statistics that nothing reads.
    assert num_errors > NUM_FLIPS / 2


READERS: dict[str, tuple[str, str, Callable[[Dataset], object]]] = {
    "file": ("masklets", "label", by_file),
    "plan": ("videos", "etag", lambda d: d.ledger()),
    "videos": ("videos", "codec", lambda d: open_dataset(d.uri).list_videos()),
    "masks": ("masklets", "label", lambda d: open_dataset(d.uri).masklets_of("a")),
    "clips": ("masklets", "qc.num_frames", lambda d: open_dataset(d.uri).clips(4)),
    "diff": ("masklets", "verdict", lambda d: diff(open_snapshot(d.uri, 0), open_snapshot(d.uri))),
}


@pytest.mark.parametrize("name", READERS)
def test_an_error_names_the_file(dataset: Dataset, name: str) -> None:
    table, column, read = READERS[name]
    file = file_of(dataset, table)
    flip_in_column(file, column)
    said = (
        f"the file {file} must be as it was written, got other bytes; "
        f"run `pvtt-flow check {dataset.uri}`"
    )
    with pytest.raises(DamagedFileError, match=f"^{re.escape(said)}$"):
        read(dataset)


def test_an_error_names_an_object_of_a_bucket(s3: "S3Server") -> None:
    dataset = Dataset(f"{s3.bucket()}/dataset")
    dataset.ensure()
    publish(dataset, masklet("a"))
    (path,) = open_dataset(dataset.uri).masklets().files
    opened = open_dataset(dataset.uri)
    opened.masklets().filesystem.handler.fs.rm(path)
    said = rf"the file s3://{path} must exist, got none; run `pvtt-flow check {dataset.uri}`$"
    with pytest.raises(DamagedFileError, match=said):
        opened.masklets_of("a")


def test_files_without_checksums_stay_readable(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = pq.write_table

    def without(*args: object, write_page_checksum: bool, **options: object) -> None:
        write(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(pq, "write_table", without)
        publish(dataset, masklet("b"))
    assert sorted(row["video_id"] for row in by_scan(dataset).to_pylist()) == ["a"] * 8 + ["b"]
    compact(dataset.uri, FULL, {})
    assert by_scan(dataset).num_rows == 9
