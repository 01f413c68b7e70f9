"""Conversion of rows of older versions of the tables to the columns of this version.

A field that an older version lacks gets the default of its class in `types.py`, so a new field
there must have a default.
"""

import dataclasses
from typing import Any, get_origin, get_type_hints

import pyarrow as pa
import pyarrow.compute as pc

from pvtt_flow.dataset.arrow import Row, from_table, item_of, schema_of, type_of, without_none


def conform(rows: pa.Table, cls: type) -> pa.Table:
    """Return the rows with exactly the columns of `cls`, nested fields included.

    Other columns are dropped. Raises TypeError if a missing column has no default.
    """
    schema = schema_of(cls)
    if set(schema.names) < set(rows.column_names):
        rows = rows.select(schema.names)
    if rows.schema.equals(schema):
        return rows
    struct = rows.to_struct_array()
    if isinstance(struct, pa.ChunkedArray):
        struct = pa.concat_arrays(struct.chunks) if struct.num_chunks else pa.array([], struct.type)
    conformed = _struct(struct, cls)
    columns = [conformed.field(index) for index in range(conformed.type.num_fields)]
    return pa.Table.from_arrays(columns, schema=schema)


def rows_as(cls: type[Row], table: pa.Table) -> list[Row]:
    """Return the rows of a table of this or an older version."""
    return from_table(cls, conform(table, cls))


def _array(array: pa.Array, hint: object) -> pa.Array:
    inner, _ = without_none(hint)
    if get_origin(inner) is tuple:
        values = _array(array.values, item_of(inner))
        lists = pa.ListArray.from_arrays(array.offsets, values, mask=array.is_null())
        return lists.cast(type_of(inner))
    if isinstance(inner, type) and dataclasses.is_dataclass(inner):
        return _struct(array, inner)
    return array.cast(type_of(inner))


def _struct(array: pa.StructArray, cls: type) -> pa.StructArray:
    hints = get_type_hints(cls)
    names = {field.name for field in array.type}
    children = [
        _array(pc.struct_field(array, f.name), hints[f.name])
        if f.name in names
        else _default(f, hints[f.name], len(array))
        for f in dataclasses.fields(cls)
    ]
    return pa.StructArray.from_arrays(children, fields=list(schema_of(cls)), mask=array.is_null())


def _default(field: "dataclasses.Field[Any]", hint: object, num_rows: int) -> pa.Array:
    inner, _ = without_none(hint)
    if field.default is dataclasses.MISSING:
        raise TypeError(f"the new field {field.name!r} must have a default for older rows")
    default = list(field.default) if isinstance(field.default, tuple) else field.default
    return pa.repeat(pa.scalar(default, type_of(inner)), num_rows)
