"""SQL conditions that users write, on the joined rows of a dataset's two tables."""

from typing import TYPE_CHECKING

from pvtt_flow.errors import ConfigError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

JOINED = "videos LEFT JOIN masklets ON masklets.video_id = videos.video_id"
"""Rows that a condition is on; a video without a masklet has one, with nulls."""
# In this order: nothing can be set after the last one.
_LOCKS = (
    "SET enable_external_access = false",
    "SET python_enable_replacements = false",
    "SET lock_configuration = true",
)


def lock(connection: "DuckDBPyConnection") -> None:
    """Take files, the network, extensions and variables of Python from a connection, for good.

    What was registered before stays readable: Arrow reads it.
    """
    for statement in _LOCKS:
        connection.execute(statement)


def as_condition(connection: "DuckDBPyConnection", where: str) -> str:
    """Return a condition as it can stand in a statement on `JOINED`, without running it.

    Raises ConfigError for what is not one expression, or what the connection refuses.
    """
    import duckdb

    # A comment at its end must not reach the parenthesis.
    condition = f"(\n{where}\n)"
    try:
        duckdb.SQLExpression(where)
        connection.sql(f"SELECT 1 FROM {JOINED} WHERE {condition}")  # noqa: S608
    except duckdb.Error as error:
        raise refused(where, error) from None
    return condition


def refused(where: str, error: Exception) -> ConfigError:
    """Return the error about a condition that DuckDB refuses, with the first line of its reason."""
    reason = str(error).partition("\n")[0]
    return ConfigError(
        f"--where must be an SQL condition on the columns of videos and masklets, got {where!r}: "
        f"{reason}"
    )
