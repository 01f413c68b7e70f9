"""Conversion of the frozen dataclasses of `types.py` to Arrow and back.

A field becomes the Arrow type of its annotation, in declared order: str and Literal -> string,
int -> int64 (Delta has no unsigned integers), float -> float64, bool -> bool, bytes -> binary,
`tuple[T, ...]` -> list, `dict[str, str]` -> map, a dataclass -> struct, `X | None` -> nullable X.
Other fields are not null.
A class with `LARGE_TEXT` has large_string for string; Delta has no such type.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeAlias, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Row = TypeVar("Row")
Table: TypeAlias = pa.Table
"""Arrow table, for modules that pass tables on and do not import pyarrow."""

_SCALARS: Mapping[object, pa.DataType] = {
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    bytes: pa.binary(),
    dict[str, str]: pa.map_(pa.string(), pa.field("value", pa.string(), nullable=False)),
}


def schema_of(cls: type) -> pa.Schema:
    """Return the Arrow schema of a dataclass; raises TypeError for an annotation without a rule."""
    return pa.schema(_fields(cls, pa.large_string() if has_large_text(cls) else pa.string()))


def has_large_text(cls: type) -> bool:
    """Return whether one array of a class's text may pass 2 GiB, the limit of Arrow's strings."""
    return bool(getattr(cls, "LARGE_TEXT", False))


def to_table(cls: type[Row], rows: Sequence[Row]) -> pa.Table:
    """Return rows as a table with exactly the schema `schema_of(cls)`."""
    return pa.Table.from_pylist([_encode(row) for row in rows], schema=schema_of(cls))


def from_table(cls: type[Row], table: pa.Table) -> list[Row]:
    """Return the rows of a table; columns that `cls` does not have are ignored.

    Raises KeyError if a column of `cls` is missing.
    """
    names = [field.name for field in _dataclass_fields(cls)]
    decode = _struct_decoder(cls)
    return [decode(row) for row in table.select(names).to_pylist()]


def to_bytes(cls: type[Row], rows: Sequence[Row]) -> NDArray[np.uint8]:
    """Return rows as an Arrow stream, uint8 (n,)."""
    table = to_table(cls, rows)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return np.frombuffer(sink.getvalue(), np.uint8)


def from_bytes(cls: type[Row], data: NDArray[np.uint8]) -> list[Row]:
    """Return the rows of `to_bytes`.

    Raises KeyError if a column is missing, and ValueError if it is no Arrow stream.
    """
    with pa.ipc.open_stream(pa.py_buffer(data)) as stream:
        return from_table(cls, stream.read_all())


def _dataclass_fields(cls: object) -> tuple["dataclasses.Field[Any]", ...]:
    if not isinstance(cls, type) or not dataclasses.is_dataclass(cls):
        raise TypeError(f"Arrow rows are made of dataclasses, got {cls!r}")
    return dataclasses.fields(cls)


@cache
def _fields(cls: type, text: pa.DataType) -> tuple[pa.Field, ...]:
    hints = get_type_hints(cls)
    return tuple(_field(f.name, hints[f.name], text) for f in _dataclass_fields(cls))


def _field(name: str, hint: object, text: pa.DataType) -> pa.Field:
    inner, nullable = without_none(hint)
    return pa.field(name, type_of(inner, text), nullable=nullable)


def without_none(hint: object) -> tuple[object, bool]:
    """Return (X, True) for `X | None`, and (X, False) for X."""
    if get_origin(hint) not in (Union, UnionType):
        return hint, False
    inner = [arg for arg in get_args(hint) if arg is not NoneType]
    if len(inner) != 1:
        raise TypeError(f"only `X | None` unions have an Arrow type, got {hint!r}")
    return inner[0], True


def type_of(hint: object, text: pa.DataType | None = None) -> pa.DataType:
    """Return the Arrow type of an annotation that is not optional, by the rules above.

    `text` is the type of str and Literal, `string` by default.
    """
    text = text or pa.string()
    if hint is str or get_origin(hint) is Literal:
        return text
    if hint in _SCALARS:
        return _SCALARS[hint]
    if get_origin(hint) is tuple:
        # Delta names list items "element", pyarrow "item": one name keeps all schemas equal.
        return pa.list_(_field("element", item_of(hint), text))
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return pa.struct(_fields(hint, text))
    raise TypeError(f"no Arrow type for the annotation {hint!r}")


def item_of(hint: object) -> object:
    """Return T of `tuple[T, ...]`."""
    args = get_args(hint)
    if len(args) != 2 or args[1] is not Ellipsis:
        raise TypeError(f"only `tuple[T, ...]` has an Arrow type, got {hint!r}")
    return args[0]


def unknown_fields(found: pa.DataType, wanted: pa.DataType, path: str = "") -> Iterator[str]:
    """Yield the paths of nested fields that `wanted` lacks or has with another type."""
    if pa.types.is_list(found) and pa.types.is_list(wanted):
        yield from unknown_fields(found.value_type, wanted.value_type, path)
    elif pa.types.is_struct(found) and pa.types.is_struct(wanted):
        known = {field.name: field.type for field in wanted}
        for field in found:
            inner = f"{path}.{field.name}".removeprefix(".")
            if field.name in known:
                yield from unknown_fields(field.type, known[field.name], inner)
            else:
                yield inner
    elif found != wanted:
        yield path


def attributes_array(values: Sequence[dict[str, str] | None]) -> pa.Array:
    """Return dictionaries as an array of maps."""
    return pa.array([_encode(value) for value in values], _SCALARS[dict[str, str]])


def _encode(value: object) -> object:
    if isinstance(value, tuple):
        return [_encode(item) for item in value]
    if isinstance(value, dict):
        return list(value.items())
    if dataclasses.is_dataclass(value):
        return {f.name: _encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
    return value


@cache
def _decoder(hint: Any) -> Callable[[Any], Any]:
    """Return the function from Arrow's value for `hint` to the value of the dataclass."""
    inner, nullable = without_none(hint)
    if get_origin(inner) is tuple:
        item = _decoder(item_of(inner))
        decode: Callable[[Any], Any] = lambda values: tuple(map(item, values))  # noqa: E731
    elif isinstance(inner, type) and dataclasses.is_dataclass(inner):
        decode = _struct_decoder(inner)
    elif inner == dict[str, str]:
        decode = dict
    else:
        return _same
    return (lambda value: None if value is None else decode(value)) if nullable else decode


def _struct_decoder(cls: type) -> Callable[[Any], Any]:
    hints = _hints_of(cls)
    decoders = [(f.name, _decoder(hints[f.name])) for f in _dataclass_fields(cls)]
    return lambda row: cls(**{name: decode(row[name]) for name, decode in decoders})


@cache
def _hints_of(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


def _same(value: Any) -> Any:
    return value
