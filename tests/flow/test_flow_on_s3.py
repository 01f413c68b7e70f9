"""The flow with its input and output on a real S3 server, and what people are told without one."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import s3fs
from commands.terminal import Ended, pvtt_flow
from flow.runs import sample, write_config

from pvtt_flow import open_dataset
from pvtt_flow.data import Seal
from pvtt_flow.dataset.rows import masklets_of, seals_like

if TYPE_CHECKING:
    from conftest import S3Server

BOX = (150.0, 60.0, 330.0, 210.0)


@pytest.fixture(scope="module")
def bucket(s3: "S3Server", tmp_path_factory: pytest.TempPathFactory) -> str:
    """A bucket with one video, and a manifest that names it and one that is not there."""
    uri = s3.bucket()
    s3.put(sample("one_product.mp4"), f"{uri}/in/mug.mp4")
    rows: list[dict[str, object]] = [
        {"uri": "mug.mp4", "id": "mug", "prompts": [{"box_xyxy": BOX, "label": "mug"}]},
        {"uri": "missing.mp4", "id": "missing"},
    ]
    manifest = tmp_path_factory.mktemp("manifest") / "manifest.jsonl"
    manifest.write_text("\n".join(json.dumps(row) for row in rows))
    s3.put(manifest, f"{uri}/in/manifest.jsonl")
    return uri


def seals_of(dataset: str) -> dict[str, Seal]:
    return {seal.video_id: seal for seal in seals_like(open_dataset(dataset), "")}


def test_a_run_from_bucket_to_bucket(bucket: str, tmp_path: Path) -> None:
    dataset = f"{bucket}/dataset"
    config = write_config(tmp_path / "config.yaml", f"{bucket}/in/manifest.jsonl", dataset)
    ended = pvtt_flow("run", config, "--set", "detect.max_products=1")
    assert ended.code == 0, ended.out + ended.err

    seals = seals_of(dataset)
    assert (seals["mug"].status, seals["mug"].uri) == ("ok", f"{bucket}/in/mug.mp4")
    missing = seals["missing"]
    assert (missing.status, missing.failure_kind) == ("failed", "unreadable")
    assert f"there is nothing at {bucket}/in/missing.mp4" in (missing.failure_message or "")

    (masklet,) = masklets_of(open_dataset(dataset), ["mug", "missing"])
    (prompt,) = masklet.prompts
    assert (masklet.label, prompt.origin, prompt.box_xyxy) == ("mug", "manifest", BOX)
    assert len(masklet.frames) == seals["mug"].num_frames
    files = s3fs.S3FileSystem(skip_instance_cache=True)
    assert len(files.glob(f"{dataset}/runs/*.json")) == 1

    again = pvtt_flow("run", config, "--set", "detect.max_products=1", "--set=run.max_attempts=1")
    assert again.code == 0
    assert "nothing to do: 1 quarantined, 1 unchanged" in again.out


@pytest.fixture
def new_clients() -> Iterator[None]:
    """fsspec keeps clients with the credentials that they were made with."""
    s3fs.S3FileSystem.clear_instance_cache()
    yield
    s3fs.S3FileSystem.clear_instance_cache()


def refused(config: Path) -> str:
    """The message with which the run is refused."""
    ended: Ended = pvtt_flow("run", config)
    assert ended.code == 2, ended.out + ended.err
    assert ended.out == ""
    assert ended.err.startswith("error: ")
    assert "Traceback" not in ended.err
    return ended.err.removeprefix("error: ")


@pytest.mark.usefixtures("s3")
@pytest.mark.parametrize("key", ["input", "output"])
def test_a_bucket_that_is_not_there(tmp_path: Path, key: str) -> None:
    places = {"input": str(sample("one_product.mp4")), "output": str(tmp_path / "dataset")}
    places[key] = "s3://no-such-bucket/place"
    message = refused(write_config(tmp_path / "c.yaml", places["input"], places["output"]))
    assert message.startswith(f"$.{key}.uri: expected ")
    assert "the bucket of s3://no-such-bucket/place" in message
    assert "does not exist: create it or correct it" in message
    assert not (tmp_path / "dataset").exists()


@pytest.mark.usefixtures("new_clients")
@pytest.mark.parametrize("key", ["input", "output"])
def test_wrong_credentials(
    bucket: str, tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret")
    places = {"input": str(sample("one_product.mp4")), "output": str(tmp_path / "dataset")}
    places[key] = f"{bucket}/in"
    message = refused(write_config(tmp_path / "c.yaml", places["input"], places["output"]))
    assert message.startswith(f"$.{key}.uri: expected ")
    assert f"access to {bucket}/in" in message
    assert "was refused" in message
    assert "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in message
    assert "not-the-secret" not in message
