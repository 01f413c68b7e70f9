"""Find, make and open the Delta tables of a dataset, with errors that name `$.output.uri`."""

from functools import partial

from deltalake import DeltaTable, Field, Schema
from deltalake.exceptions import TableNotFoundError

from pvtt_flow.dataset.tables import BUCKET, KEY, SCHEMAS
from pvtt_flow.errors import PreflightError
from pvtt_flow.storage.patience import patiently
from pvtt_flow.storage.places import delta_options, filesystem, preflight
from pvtt_flow.storage.uris import local_path, public

LOG = "_delta_log"


def tables_exist(uri: str) -> bool:
    """Whether all tables are at the folder `uri`; raises PreflightError when nobody can tell."""
    with preflight(KEY, "a dataset", uri):
        files, path = filesystem(uri)
        try:
            return all(
                bool(patiently(partial(files.ls, f"{path}/{name}/{LOG}"))) for name in SCHEMAS
            )
        except FileNotFoundError as error:
            if error.__cause__ is not None:  # the store's own complaint: there is no bucket
                raise
            return False


def make_tables(uri: str) -> None:
    """Create the tables that are missing at the folder `uri`."""
    with preflight(KEY, "a folder in which a dataset can be made", uri):
        if path := local_path(uri):
            path.mkdir(parents=True, exist_ok=True)
        for name, schema in SCHEMAS.items():
            DeltaTable.create(
                f"{uri}/{name}",
                schema,
                mode="ignore",
                partition_by=[BUCKET] if BUCKET in schema.names else None,
                storage_options=delta_options(uri),
            )


def check_columns(uri: str) -> None:
    """Raise PreflightError when the tables at `uri` were made for rows with other columns."""
    for name, others in other_columns(uri).items():
        if not others:
            continue
        older = f"it is older: bring it up with `pvtt-flow upgrade {public(uri)}`"
        newer = "it was made by a newer version: upgrade pvtt_flow, or give a new folder"
        known = all(field.name in SCHEMAS[name].names for field in _fields(uri, name))
        raise PreflightError(
            f"{KEY}: expected the columns of this version, but in {public(uri)} the table "
            f"{name!r} has others ({', '.join(others)}); {older if known else newer}"
        )


def other_columns(uri: str) -> dict[str, list[str]]:
    """By table: the columns that it has or lacks or has otherwise, against this version's."""
    others = {}
    for name, schema in SCHEMAS.items():
        found = {field.name: field for field in _fields(uri, name)}
        wanted = {field.name: field for field in Schema.from_arrow(schema).fields}
        names = sorted({*found, *wanted})
        others[name] = [n for n in names if found.get(n) != wanted.get(n)]
    return others


def _fields(uri: str, name: str) -> list[Field]:
    return open_table(uri, name).schema().fields


def open_table(uri: str, name: str, version: int | None = None) -> DeltaTable:
    """One table of the dataset at `uri`, as of `version` or the latest."""
    with preflight(KEY, "a dataset", uri):
        try:
            return patiently(lambda: DeltaTable(f"{uri}/{name}", version, delta_options(uri)))
        except TableNotFoundError:
            raise PreflightError(
                f"{KEY}: expected a dataset, but {public(uri)} has no table {name!r}: "
                "correct the uri, or let a run make the dataset"
            ) from None
