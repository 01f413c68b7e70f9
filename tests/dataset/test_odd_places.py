"""Datasets at places whose names mean something to a library: one place, or a refusal."""

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import s3fs

from pvtt_flow import open_dataset
from pvtt_flow.config.loading import load
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.history import history, restore
from pvtt_flow.dataset.maintenance.compact import FULL, compact
from pvtt_flow.dataset.maintenance.vacuum import vacuum
from pvtt_flow.errors import PreflightError
from pvtt_flow.pipeline.run import prepare
from tests.dataset.dataset_rows import masklet
from tests.dataset.datasets import masklets_of, publish

if TYPE_CHECKING:
    from tests.conftest import S3Server

NAMES = [
    "cc::dd", "sp ace", "ü 商品", "[x]", "a+b&c=d", "it's", "file:x", "~",
    "@u;v",
]  # fmt: skip


def use(uri: str) -> None:
    """Do everything to a dataset at a place where there is none."""
    dataset = Dataset(uri)
    assert not dataset.exists()
    dataset.check_writable()
    dataset.ensure()
    publish(dataset, masklet("a"))
    publish(dataset, masklet("b"))
    assert [m.video_id for m in masklets_of(dataset)] == ["a", "b"]
    compact(dataset.uri, FULL, {})
    restore(dataset.uri, 1)
    assert [m.video_id for m in masklets_of(open_dataset(uri))] == ["a"]
    assert [version.version for version in history(dataset.uri)][-1] == 0
    assert vacuum(dataset.uri, keep=timedelta(days=7)).num_files == 0
    with open_dataset(uri).duckdb() as db:
        assert db.execute("SELECT count(*) FROM videos").fetchone() == (1,)


@pytest.mark.parametrize("name", NAMES)
def test_a_folder(tmp_path: Path, name: str) -> None:
    bystanders = {"cc", "newset", "q", "x", "dd", "sp"}
    for bystander in bystanders:
        (tmp_path / bystander).write_text("not ours")
    use(f"{tmp_path}/{name}")
    assert {path.name for path in tmp_path.iterdir()} == bystanders | {name}
    assert all((tmp_path / bystander).read_text() == "not ours" for bystander in bystanders)


@pytest.mark.parametrize("name", [name for name in NAMES if ":" not in name])
def test_a_prefix_of_a_bucket(s3: "S3Server", name: str) -> None:
    bucket = s3.bucket()
    use(f"{bucket}/{name}")
    (top,) = s3fs.S3FileSystem().ls(bucket.removeprefix("s3://"), refresh=True)
    assert top == f"{bucket.removeprefix('s3://')}/{name}"


@pytest.mark.parametrize("name", ["a%20b", "100%", "q%231", "newset#1", "q?x=1"])
def test_syntax_of_uris_is_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    """delta-rs writes to such places, and then its history is empty or it looks elsewhere."""
    rule = re.escape("must have none of the characters #?%, got")
    with pytest.raises(PreflightError, match=rule):
        Dataset(f"{tmp_path}/{name}").ensure()
    with pytest.raises(PreflightError, match=rule):
        open_dataset(f"{tmp_path}/{name}")
    value = json.dumps(f"{tmp_path}/{name}")
    config = load(Path("configs/quickstart.yaml"), [f"output.uri={value}"])
    with pytest.raises(PreflightError, match=rule):
        prepare(config)
    assert list(tmp_path.iterdir()) == []


def test_a_colon_in_a_bucket_is_refused(s3: "S3Server") -> None:
    rule = re.escape("must have none of the characters #?%:, got")
    with pytest.raises(PreflightError, match=rule):
        Dataset(f"{s3.bucket()}/cc::dd").ensure()
