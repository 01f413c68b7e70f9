"""Check whether the tables of a dataset have the columns of this version of pvtt_flow."""

import pyarrow as pa
from deltalake import Schema

from pvtt_flow.dataset.arrow import unknown_fields
from pvtt_flow.dataset.snapshot import Snapshot
from pvtt_flow.dataset.tables import SCHEMAS
from pvtt_flow.errors import PreflightError
from pvtt_flow.storage.uris import redact_uri


def check_columns(snapshot: Snapshot) -> None:
    """Raise PreflightError if a table does not have the columns of this version."""
    check_not_newer(snapshot)
    for name in SCHEMAS:
        if others := other_columns(snapshot, name):
            uri = redact_uri(snapshot.uri)
            raise PreflightError(
                f"the table {name!r} of {uri} must have the columns of this version, got "
                f"others ({', '.join(others)}) of an older version; run `pvtt-flow upgrade {uri}`"
            )


def check_not_newer(snapshot: Snapshot) -> None:
    """Raise PreflightError if a table has columns or nested fields that this version lacks."""
    for name, schema in SCHEMAS.items():
        found = pa.struct(pa.schema(snapshot.table(name).schema().to_arrow()))
        if unknown := list(unknown_fields(found, pa.struct(schema))):
            raise PreflightError(
                f"the table {name!r} of {redact_uri(snapshot.uri)} must have the columns of "
                f"this version, got others ({', '.join(unknown)}) of a newer version; upgrade "
                "pvtt_flow or choose another folder"
            )


def other_columns(snapshot: Snapshot, name: str) -> list[str]:
    """Return the columns that a table lacks, has in addition, or has with another type."""
    found = {field.name: field for field in snapshot.table(name).schema().fields}
    wanted = {field.name: field for field in Schema.from_arrow(SCHEMAS[name]).fields}
    return [n for n in sorted({*found, *wanted}) if found.get(n) != wanted.get(n)]
