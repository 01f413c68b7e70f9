"""Parquet files of unknown origin are read in parts of bounded size."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pvtt_flow.errors import ConfigError
from pvtt_flow.storage import parquet_batches
from pvtt_flow.storage.manifest import read_manifest
from pvtt_flow.storage.manifest_rows import read_rows

TEXT = "x" * (1 << 20)


def refused(path: Path, rows: pa.Table) -> str:
    pq.write_table(rows, path, compression="zstd")
    assert path.stat().st_size < 10_000
    before = pa.total_allocated_bytes()
    with pytest.raises(ConfigError) as caught:
        read_manifest(str(path))
    assert pa.total_allocated_bytes() - before < 64 << 20
    return str(caught.value).removeprefix(f"$.input.uri: manifest {path} ")


def test_a_small_file_with_large_rows(tmp_path: Path) -> None:
    rows = pa.table({"uri": ["a.mp4"], "prompts": [[{"mask_rle": TEXT}] * 9]})
    assert refused(tmp_path / "m.parquet", rows) == (
        "must have at most 4194304 bytes in a row, got 9437349 in row 1"
    )


def test_a_small_file_with_many_nulls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_batches, "MAX_GROUP_VALUES", 1000)
    nulls = pa.array([[None] * 1000], pa.list_(pa.int8()))
    message = refused(tmp_path / "m.parquet", pa.table({"uri": ["a.mp4"], "prompts": nulls}))
    assert "536870912 bytes before compression and 1000 values in a row group, got" in message
    assert message.endswith(" and 1001; write smaller row groups")


def test_a_row_group_that_unpacks_to_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_batches, "MAX_GROUP_BYTES", 1 << 20)
    message = refused(tmp_path / "m.parquet", pa.table({"uri": [TEXT + "1", TEXT + "2"]}))
    assert message.startswith("must have at most 1048576 bytes before compression")


def test_rows_of_split_batches_keep_their_order_and_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_batches, "MAX_PART_BYTES", 500)
    rows = [
        {"uri": f"{n}.mp4", "prompts": [{"label": "mug" * n}] * (n % 3), "tags": {"k": f"v{n}"}}
        for n in range(40)
    ]
    tags = pa.map_(pa.string(), pa.string())
    prompts = pa.large_list(pa.struct([("label", pa.large_string())]))
    schema = pa.schema([("uri", pa.string()), ("prompts", prompts), ("tags", tags)])
    pq.write_table(pa.Table.from_pylist(rows, schema), tmp_path / "m.parquet")
    read = [row for _, row in read_rows(str(tmp_path / "m.parquet"))]
    assert [row | {"tags": dict(row["tags"])} for row in read] == rows


def test_text_that_is_not_utf8(tmp_path: Path) -> None:
    bad = pa.StringArray.from_buffers(
        2, pa.array([0, 5, 6], pa.int32()).buffers()[1], pa.py_buffer(b"a.mp4\xff")
    )
    assert refused(tmp_path / "m.parquet", pa.table({"uri": bad})) == (
        "after row 0 must be UTF-8 text, got other bytes"
    )
