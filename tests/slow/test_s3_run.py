"""The command with its input and its output on an S3 server."""

from pathlib import Path

import pytest

from pvtt_flow import open_dataset
from pvtt_flow.storage.reading import open_binary

from .flow_command import SAMPLES, Shell, write_config

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def test_a_bucket_in_and_a_bucket_out(s3, shell: Shell, tmp_path: Path) -> None:
    incoming, datasets = s3.bucket(), s3.bucket()
    for name in ("one_product.mp4", "truncated.mp4", "no_product.mp4"):
        s3.put(SAMPLES / name, f"{incoming}/new/{name}")
    config = write_config(tmp_path / "config.yaml", f"{incoming}/new", f"{datasets}/masklets")

    first = shell.run("pvtt-flow", "run", str(config))
    assert first.returncode == 0, first.stdout
    dataset = open_dataset(f"{datasets}/masklets")
    seals = {row["uri"].rpartition("/")[2]: row for row in dataset.videos().to_table().to_pylist()}
    assert seals["one_product.mp4"]["status"] == "ok"
    assert seals["no_product.mp4"]["status"] in ("ok", "empty")
    assert seals["truncated.mp4"]["flags"] == ["truncated"]
    assert dataset.masklets().count_rows() == sum(row["num_masklets"] for row in seals.values())
    sheet = f"{datasets}/masklets/runs/{seals['one_product.mp4']['run_id']}.png"
    with open_binary(sheet) as file:
        assert file.read(4) == b"\x89PNG"

    s3.put(SAMPLES / "two_products.mp4", f"{incoming}/new/later/two_products.mp4")
    second = shell.run("pvtt-flow", "run", str(config))
    assert second.returncode == 0, second.stdout
    assert "plan: 1 new, 3 unchanged" in second.stdout
    shown = shell.run("pvtt-flow", "show", f"{datasets}/masklets")
    assert shown.returncode == 0, shown.stdout


def test_a_bucket_that_may_only_be_read(s3, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """It will do as the input; as the output it is refused."""
    bucket = s3.bucket()
    s3.put(SAMPLES / "one_product.mp4", f"{bucket}/in/mug.mp4")
    dataset = str(tmp_path / "dataset")
    config = str(write_config(tmp_path / "config.yaml", f"{bucket}/in", dataset))
    with s3.read_only():
        reader = Shell.new()
    refused = reader.run("pvtt-flow", "run", config, "--set", f"output.uri={bucket}/out")
    assert refused.returncode == 2, refused.stdout
    assert "error: $.output.uri: expected to write a file, but access to" in refused.stdout
    ended = reader.run("pvtt-flow", "run", config)
    assert ended.returncode == 0, ended.stdout
    (seal,) = open_dataset(dataset).videos().to_table().to_pylist()
    assert (seal["status"], seal["uri"]) == ("ok", f"{bucket}/in/mug.mp4")
