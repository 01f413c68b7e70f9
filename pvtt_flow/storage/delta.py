"""Find, make and open the Delta tables of a dataset, with errors that name `$.output.uri`."""

from deltalake import DeltaTable, Schema
from deltalake.exceptions import TableNotFoundError

from pvtt_flow.errors import PreflightError
from pvtt_flow.storage.places import delta_options, filesystem, local_path, preflight, public
from pvtt_flow.storage.tables import BUCKET, SCHEMAS

KEY = "$.output.uri"


def tables_exist(uri: str) -> bool:
    """Whether all tables are at the folder `uri`; raises PreflightError when nobody can tell."""
    with preflight(KEY, "a dataset", uri):
        files, path = filesystem(uri)
        try:
            return all(bool(files.ls(f"{path}/{name}/_delta_log")) for name in SCHEMAS)
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
    for name, schema in SCHEMAS.items():
        found = {field.name: field for field in open_table(uri, name).schema().fields}
        wanted = {field.name: field for field in Schema.from_arrow(schema).fields}
        names = {*found, *wanted}
        if others := sorted(n for n in names if found.get(n) != wanted.get(n)):
            raise PreflightError(
                f"{KEY}: expected a dataset of this version, but in {public(uri)} the table "
                f"{name!r} has other columns ({', '.join(others)}): give a new folder"
            )


def open_table(uri: str, name: str, version: int | None = None) -> DeltaTable:
    """One table of the dataset at `uri`, as of `version` or the latest."""
    with preflight(KEY, "a dataset", uri):
        try:
            return DeltaTable(f"{uri}/{name}", version, delta_options(uri))
        except TableNotFoundError:
            raise PreflightError(
                f"{KEY}: expected a dataset, but {public(uri)} has no table {name!r}: "
                "correct the uri, or let a run make the dataset"
            ) from None
