"""Conditions of users: what they reach, and what they do not."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

from pvtt_flow import open_dataset
from pvtt_flow.errors import ConfigError
from pvtt_flow.readers.condition import JOINED, as_condition, lock
from tests.dataset.datasets import new_dataset, publish_videos

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@pytest.fixture
def db(tmp_path: Path) -> "Iterator[DuckDBPyConnection]":
    dataset = new_dataset(tmp_path)
    publish_videos(dataset, ("red-mug", "blue-mug"))
    with open_dataset(dataset.uri).duckdb() as connection:
        lock(connection)
        yield connection


def test_the_tables_stay_readable(db: "DuckDBPyConnection") -> None:
    condition = as_condition(db, "videos.video_id LIKE 'red%' AND len(frames) = 3 -- all of them")
    statement = f"SELECT label FROM {JOINED} WHERE {condition} AND true"  # noqa: S608
    rows = db.execute(statement).fetchall()
    assert rows == [("mug",)]


@pytest.mark.parametrize(
    "statement",
    [
        "ATTACH '{folder}/other.db'",
        "COPY (SELECT 1) TO '{folder}/rows.csv'",
        "FROM read_csv('{folder}/own.csv')",
        "FROM glob('{folder}/*')",
        "EXPORT DATABASE '{folder}/all'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "RESET lock_configuration",
        "FROM own_table",
    ],
)
def test_all_else_is_out_of_reach(db: "DuckDBPyConnection", tmp_path: Path, statement: str) -> None:
    own_table = duckdb.sql("SELECT 1 AS a")  # noqa: F841 (DuckDB finds variables by their names)
    (tmp_path / "own.csv").write_text("a\n1\n")
    with pytest.raises(duckdb.Error):
        db.execute(statement.format(folder=tmp_path)).fetchall()
    assert {path.name for path in tmp_path.iterdir()} == {"dataset", "own.csv"}


def test_a_condition_is_one_expression(db: "DuckDBPyConnection") -> None:
    with pytest.raises(ConfigError, match="it holds more than one statement"):
        as_condition(db, "true; DROP VIEW videos")
    assert db.execute("SELECT count(*) FROM videos").fetchone() == (2,)
