"""Delta tables of a dataset: look for them, create and open them.

Errors name the config key `$.output.uri` before a run, and only the uri for those who read.
"""

from functools import partial

from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from pvtt_flow.dataset.log_entries import naming_entries
from pvtt_flow.dataset.tables import BUCKET, KEY, LOG, SCHEMAS
from pvtt_flow.errors import PreflightError
from pvtt_flow.storage.filesystems import delta_options, delta_uri, filesystem, preflight
from pvtt_flow.storage.retry import with_retries
from pvtt_flow.storage.uris import local_path, redact_uri

PROPERTIES = {"delta.dataSkippingNumIndexedCols": "-1"}
"""Properties of the tables: readers take bounds of all columns, nested ones included, from the log,
and not of the first 32 alone."""


def tables_exist(uri: str, *, key: str | None = KEY) -> bool:
    """Return whether all tables exist at `uri`.

    `key` is the config key of the uri, for errors; None for a uri that is no config's. Raises
    PreflightError if the store cannot tell, if the uri names no bucket, or if it has a character
    that parts of delta-rs take for syntax: they would write to one place and read from another.
    """
    if uri.endswith("://"):
        raise PreflightError(f"the uri of a dataset must name a bucket, got {uri}")
    refused = "#?%" if local_path(uri) else "#?%:"
    if set(refused) & set(uri.partition("://")[2] or uri):
        raise PreflightError(
            f"the uri of a dataset must have none of the characters {refused}, got "
            f"{redact_uri(uri)}; choose another folder"
        )
    with preflight(key, "dataset", uri):
        files, path = filesystem(uri)
        try:
            return all(
                bool(with_retries(partial(files.ls, f"{path}/{name}/{LOG}"))) for name in SCHEMAS
            )
        except FileNotFoundError as error:
            if error.__cause__ is not None:  # an error of the store: there is no bucket
                raise
            return False


def make_tables(uri: str) -> None:
    """Create the tables that are missing at the folder `uri`."""
    with preflight(KEY, "folder", uri):
        if path := local_path(uri):
            path.mkdir(parents=True, exist_ok=True)
        for name, schema in SCHEMAS.items():
            DeltaTable.create(
                delta_uri(f"{uri}/{name}"),
                schema,
                mode="ignore",
                partition_by=[BUCKET] if BUCKET in schema.names else None,
                configuration=PROPERTIES,
                storage_options=delta_options(uri),
            )


def open_table(uri: str, name: str, version: int | None = None) -> DeltaTable:
    """Open a table of the dataset at `uri`, at `version` or the latest."""
    table_uri = delta_uri(f"{uri}/{name}")
    with preflight(None, "dataset", uri), naming_entries(uri, name):
        try:
            return with_retries(lambda: DeltaTable(table_uri, version, delta_options(uri)))
        except TableNotFoundError:
            raise PreflightError(
                f"no dataset at {redact_uri(uri)}: it has no table {name!r}; "
                "correct the uri, or start a run, which creates the dataset"
            ) from None
