"""Read the raw rows of a manifest within limits: CSV, JSON lines or Parquet."""

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, cast

import pyarrow as pa
from pydantic_core import from_json

from pvtt_flow.errors import ConfigError, DataError, PreflightError
from pvtt_flow.storage.parquet_batches import TooLargeError, bounded_batches
from pvtt_flow.storage.streams import open_binary
from pvtt_flow.storage.uris import redact_uri

KEY = "$.input.uri"
# A manifest comes from outside: these limit the cost of reading one.
MAX_BYTES = 1 << 30
MAX_LINE_BYTES = 4 << 20
MAX_ROWS = 10_000_000
# Process-wide, since csv readers have no limit of their own: the default of 128 KiB is too small
# for prompts with masks. `_lines` limits every line before csv sees it.
csv.field_size_limit(MAX_LINE_BYTES)

Row = tuple[str, dict[str, Any]]


def manifest_error(uri: str, where: str, problem: str) -> ConfigError:
    """Return the error for one bad place of a manifest.

    `where` is like `line 3`, or empty; `problem` starts with "must" if it is about the whole place.
    """
    place = f"{KEY}: manifest {redact_uri(uri)}{f' {where}' if where else ''}"
    return ConfigError(f"{place}{' ' if problem.startswith('must ') else ': '}{problem}")


def read_rows(uri: str) -> Iterator[Row]:
    """Yield each row as `(where, values)`; the values are not checked yet.

    Raises ConfigError if the file does not have the format of its extension or exceeds a limit,
    and PreflightError if it cannot be read.
    """
    try:
        with open_binary(uri, max_bytes=MAX_BYTES) as stream:
            size_bytes = stream.seek(0, io.SEEK_END)
            stream.seek(0)
            if size_bytes > MAX_BYTES:
                problem = f"must have at most {MAX_BYTES} bytes, got {size_bytes}"
                raise manifest_error(uri, "", problem)
            for number, row in enumerate(_reader(uri)(uri, stream)):
                if number >= MAX_ROWS:
                    raise manifest_error(uri, "", f"must have at most {MAX_ROWS} rows, got more")
                yield row
    except DataError as error:
        raise PreflightError(f"{KEY}: cannot read the manifest: {error}") from None


def _reader(uri: str) -> Any:
    if uri.lower().endswith(".parquet"):
        return _parquet_rows
    return _csv_rows if uri.lower().endswith(".csv") else _json_rows


def _csv_rows(uri: str, stream: BinaryIO) -> Iterator[Row]:
    reader = csv.DictReader((text for _, text in _lines(uri, stream)), strict=True)
    try:
        names = reader.fieldnames or ()
        if "uri" not in names:
            columns = ", ".join(names) or "an empty file"
            problem = f"must be a header with the column uri, got {columns}"
            raise manifest_error(uri, "line 1", problem)
        _check_unique(uri, names)
        for row in reader:
            where = f"line {reader.line_num}"
            if None in row or None in row.values():
                problem = f"must have {len(names)} fields, as line 1 has"
                raise manifest_error(uri, where, problem)
            # CSV has no null: an empty field is a missing value.
            yield where, {key: value for key, value in row.items() if value != ""}
    except csv.Error as error:
        problem = f"must be valid CSV, got {error}"
        raise manifest_error(uri, f"line {reader.line_num}", problem) from None


def _json_rows(uri: str, stream: BinaryIO) -> Iterator[Row]:
    for number, text in _lines(uri, stream):
        if not text.strip():
            continue
        where = f"line {number}"
        try:
            row = from_json(text)
        except ValueError as error:
            raise manifest_error(uri, where, f"must be one JSON object, got {error}") from None
        if not isinstance(row, dict):
            problem = f"must be one JSON object, got a {type(row).__name__}"
            raise manifest_error(uri, where, problem)
        yield where, row


def _parquet_rows(uri: str, stream: BinaryIO) -> Iterator[Row]:
    number = 0
    try:
        for part in bounded_batches(stream):
            _check_unique(uri, part.schema.names)
            for row in part.to_pylist():
                number += 1
                yield f"row {number}", row
    except TooLargeError as error:
        raise manifest_error(uri, "", str(error)) from None
    except UnicodeDecodeError:
        raise manifest_error(
            uri, f"after row {number}", "must be UTF-8 text, got other bytes"
        ) from None
    except (pa.ArrowException, OSError) as error:
        raise manifest_error(uri, "", f"must be Parquet, got {type(error).__name__}") from None
    except (OverflowError, ValueError) as error:
        problem = f"must have dates and times that Python can hold ({error}); write them as text"
        raise manifest_error(uri, f"after row {number}", problem) from None


def _check_unique(uri: str, names: Sequence[str]) -> None:
    """Raise ConfigError if two columns have one name; of an index, which has none, may be many."""
    twice = [name for name, count in Counter(names).items() if name and count > 1]
    if twice:
        problem = f"must have one column of each name, got more of {', '.join(twice)}"
        raise manifest_error(uri, "", problem)


def _lines(uri: str, stream: BinaryIO) -> Iterator[tuple[int, str]]:
    buffered = io.BufferedReader(cast("io.RawIOBase", stream))
    number = 0
    while line := buffered.readline(MAX_LINE_BYTES + 1):
        number += 1
        where = f"line {number}"
        if len(line) > MAX_LINE_BYTES:
            problem = f"must have at most {MAX_LINE_BYTES} bytes, got more"
            raise manifest_error(uri, where, problem)
        try:
            yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise manifest_error(uri, where, "must be UTF-8 text, got other bytes") from None
