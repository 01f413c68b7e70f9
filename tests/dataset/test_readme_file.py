"""README.md of a dataset: its recipes give the right rows without pvtt_flow; a glob does not."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.maintenance.row_updates import forget, mark_gone
from pvtt_flow.dataset.maintenance.upgrade import upgrade
from pvtt_flow.dataset.readme import NAME, TEXT
from pvtt_flow.storage.files import read_bytes
from tests.dataset.dataset_rows import masklet
from tests.dataset.datasets import new_dataset, publish

if TYPE_CHECKING:
    from tests.conftest import S3Server

OPENING, *RECIPES = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Videos a (replaced), b (gone) and c (forgotten), and masklets that no version names."""
    made = new_dataset(tmp_path)
    publish(made, masklet("a"), masklet("b"), masklet("c"))
    publish(made, masklet("a", label="new"), run_id="r2")
    mark_gone(made.uri, gone=["b"], returned=[], at_ns=1, run_id="r3")
    forget(made.uri, ["c"])
    made.write_masklets([masklet("killed")])
    return made


@pytest.mark.parametrize("recipe", RECIPES, ids=["duckdb", "polars", "pandas"])
def test_recipes(
    dataset: Dataset,
    recipe: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(dataset.uri)
    text = Path(NAME).read_text()
    assert OPENING in text
    assert recipe in text
    printed: list[Any] = []
    exec(OPENING + recipe, {"print": printed.append})  # noqa: S102
    (shown,) = printed
    rows = shown.fetchnumpy() if hasattr(shown, "fetchnumpy") else shown
    assert (list(rows["video_id"]), list(rows["label"])) == (["a"], ["new"])


def test_a_glob_reads_rows_that_are_no_longer_there(dataset: Dataset) -> None:
    rows = duckdb.read_parquet(f"{dataset.uri}/masklets/**/*.parquet").distinct()
    assert {row[0] for row in rows.project("video_id").fetchall()} == {"a", "b", "c", "killed"}


def test_it_is_written_once(dataset: Dataset) -> None:
    path = Path(dataset.uri) / NAME
    path.write_text("ours")
    dataset.ensure()
    upgrade(dataset.uri)
    assert path.read_text() == "ours"
    path.unlink()
    dataset.ensure()
    assert not path.exists(), "only what changes a dataset of before writes it"
    upgrade(dataset.uri)
    assert path.read_text() == TEXT


def test_in_a_bucket(s3: "S3Server") -> None:
    made = Dataset(f"{s3.bucket()}/dataset")
    made.ensure()
    assert read_bytes(f"{made.uri}/{NAME}") == TEXT.encode()
