"""The raw rows of a manifest: CSV, JSON lines or Parquet, read within limits."""

import csv
import io
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic_core import from_json

from pvtt_flow.errors import ConfigError, DataError, PreflightError
from pvtt_flow.storage.streams import open_binary
from pvtt_flow.storage.uris import redact_uri

KEY = "$.input.uri"
# A manifest comes from outside: these bound what reading one can cost.
MAX_BYTES = 1 << 30
MAX_LINE_BYTES = 4 << 20
MAX_ROWS = 10_000_000

Row = tuple[str, dict[str, Any]]


def manifest_error(uri: str, where: str, what: str) -> ConfigError:
    """The error for one bad place of a manifest; `where` is like `line 3`, or empty."""
    return ConfigError(f"{KEY}: manifest {redact_uri(uri)}{f' {where}' if where else ''}: {what}")


def read_rows(uri: str) -> Iterator[Row]:
    """Each row as `(where, values)`; nothing about the values is checked yet.

    Raises ConfigError when the file is not what its ending says or exceeds a limit,
    PreflightError when it cannot be read.
    """
    try:
        with open_binary(uri) as stream:
            size = stream.seek(0, io.SEEK_END)
            stream.seek(0)
            if size > MAX_BYTES:
                raise manifest_error(uri, "", f"expected at most {MAX_BYTES} bytes, found {size}")
            for number, row in enumerate(_reader(uri)(uri, stream)):
                if number >= MAX_ROWS:
                    raise manifest_error(uri, row[0], f"expected at most {MAX_ROWS} rows")
                yield row
    except DataError as error:
        raise PreflightError(f"{KEY}: expected a manifest, but {error}") from None


def _reader(uri: str) -> Any:
    if uri.lower().endswith(".parquet"):
        return _parquet_rows
    return _csv_rows if uri.lower().endswith(".csv") else _json_rows


def _csv_rows(uri: str, stream: BinaryIO) -> Iterator[Row]:
    csv.field_size_limit(MAX_LINE_BYTES)
    reader = csv.DictReader((text for _, text in _lines(uri, stream)), strict=True)
    try:
        if "uri" not in (reader.fieldnames or ()):
            found = ", ".join(reader.fieldnames or ()) or "an empty file"
            raise manifest_error(
                uri, "line 1", f"expected a header with the column uri, found {found}"
            )
        for row in reader:
            where = f"line {reader.line_num}"
            if None in row or None in row.values():
                expected = f"expected {len(reader.fieldnames or ())} fields"
                raise manifest_error(uri, where, f"{expected}, found another number of them")
            # CSV cannot say null: an empty field is an absent value.
            yield where, {key: value for key, value in row.items() if value != ""}
    except csv.Error as error:
        raise manifest_error(
            uri, f"line {reader.line_num}", f"expected CSV, found {error}"
        ) from None


def _json_rows(uri: str, stream: BinaryIO) -> Iterator[Row]:
    for number, text in _lines(uri, stream):
        if not text.strip():
            continue
        where = f"line {number}"
        try:
            row = from_json(text)
        except ValueError as error:
            raise manifest_error(uri, where, f"expected one JSON object, found {error}") from None
        if not isinstance(row, dict):
            raise manifest_error(
                uri, where, f"expected one JSON object, found a {type(row).__name__}"
            )
        yield where, row


def _parquet_rows(uri: str, stream: BinaryIO) -> Iterator[Row]:
    try:
        file = pq.ParquetFile(stream)
        number = 0
        for batch in file.iter_batches(batch_size=1024):
            for row in batch.to_pylist():
                number += 1
                yield f"row {number}", row
    except pa.ArrowException as error:
        raise manifest_error(uri, "", f"expected Parquet, found {type(error).__name__}") from None


def _lines(uri: str, stream: BinaryIO) -> Iterator[tuple[int, str]]:
    buffered = io.BufferedReader(cast("io.RawIOBase", stream))
    number = 0
    while line := buffered.readline(MAX_LINE_BYTES + 1):
        number += 1
        where = f"line {number}"
        if len(line) > MAX_LINE_BYTES:
            raise manifest_error(uri, where, f"expected at most {MAX_LINE_BYTES} bytes in a line")
        try:
            yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise manifest_error(uri, where, "expected UTF-8 text, found other bytes") from None
