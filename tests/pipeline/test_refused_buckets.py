"""Messages for buckets that do not exist or refuse access."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import s3fs

from tests.cli.terminal import Ended, pvtt_flow
from tests.pipeline.runs import sample, write_config

if TYPE_CHECKING:
    from tests.conftest import S3Server


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
def test_a_missing_bucket_is_refused(tmp_path: Path, key: str) -> None:
    places = {"input": str(sample("one_product.mp4")), "output": str(tmp_path / "dataset")}
    places[key] = "s3://no-such-bucket/place"
    message = refused(write_config(tmp_path / "c.yaml", places["input"], places["output"]))
    assert message.startswith(f"$.{key}.uri: the bucket of ")
    assert "the bucket of s3://no-such-bucket/place" in message
    assert "must exist; create it or correct the uri" in message
    assert not (tmp_path / "dataset").exists()


@pytest.mark.usefixtures("new_clients")
@pytest.mark.parametrize("key", ["input", "output"])
def test_wrong_credentials(
    s3: "S3Server", tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = s3.bucket()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret")
    places = {"input": str(sample("one_product.mp4")), "output": str(tmp_path / "dataset")}
    places[key] = f"{bucket}/in"
    message = refused(write_config(tmp_path / "c.yaml", places["input"], places["output"]))
    assert message.startswith(f"$.{key}.uri: access to ")
    assert f"access to {bucket}/in" in message
    assert "was refused" in message
    assert "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in message
    assert "not-the-secret" not in message
