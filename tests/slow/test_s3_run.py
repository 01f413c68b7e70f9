"""The command with its input and its output on an S3 server."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import pytest

from pvtt_flow import open_dataset
from pvtt_flow.storage.streams import open_binary
from pvtt_flow.video.read import read_frames
from tests.slow.flow_command import SAMPLES, Shell, write_config

if TYPE_CHECKING:
    from tests.conftest import S3Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

BOX = (150.0, 60.0, 330.0, 210.0)


def test_a_bucket_in_and_a_bucket_out(s3: "S3Server", shell: Shell, tmp_path: Path) -> None:
    incoming, datasets = s3.bucket(), s3.bucket()
    for name in ("one_product.mp4", "truncated.mp4", "no_product.mp4"):
        s3.put(SAMPLES / name, f"{incoming}/new/{name}")
    config = write_config(tmp_path / "config.yaml", f"{incoming}/new", f"{datasets}/masklets")

    first = shell.run("pvtt-flow", "run", str(config))
    assert first.returncode == 0, first.stdout
    dataset = open_dataset(f"{datasets}/masklets")
    records = rows_by_name(dataset.uri)
    assert records["one_product.mp4"]["status"] == "ok"
    assert records["no_product.mp4"]["status"] in ("ok", "empty")
    assert records["truncated.mp4"]["flags"] == ["truncated"]
    assert dataset.masklets().count_rows() == sum(row["num_masklets"] for row in records.values())
    sheet = f"{datasets}/masklets/runs/{records['one_product.mp4']['run_id']}.png"
    with open_binary(sheet) as file:
        assert file.read(4) == b"\x89PNG"

    s3.put(SAMPLES / "two_products.mp4", f"{incoming}/new/later/two_products.mp4")
    for frame in pictures(tmp_path / "mug"):
        s3.put(frame, f"{incoming}/new/mug/{frame.name}")
    second = shell.run("pvtt-flow", "run", str(config), "--set", "input.frame_folders=true")
    assert second.returncode == 0, second.stdout
    assert "plan: 2 new, 3 unchanged" in second.stdout
    after = rows_by_name(f"{datasets}/masklets")
    mug = after.pop("#fps=25")
    assert mug["uri"] == f"{incoming}/new/mug/#fps=25"
    assert (mug["status"], mug["codec"], mug["num_masklets"]) == ("ok", "png", 1)
    (masklet,) = open_dataset(dataset.uri).masklets_of(mug["video_id"])
    (same,) = dataset.masklets_of(records["one_product.mp4"]["video_id"])
    assert masklet.frames[0].rle == same.frames[0].rle
    assert [f.frame_index for f in masklet.frames] == [0, 12]
    assert masklet.frames[1].rle is not None
    assert after.pop("two_products.mp4")["run_id"] not in {
        row["run_id"] for row in records.values()
    }
    assert after == records, "the others are as the first run left them"
    shown = shell.run("pvtt-flow", "show", f"{datasets}/masklets")
    assert shown.returncode == 0, shown.stdout


def test_a_bucket_that_may_only_be_read(s3: "S3Server", tmp_path: Path) -> None:
    """Accept a read-only bucket as the input, here of a manifest, and refuse it as the output."""
    bucket = s3.bucket()
    s3.put(SAMPLES / "one_product.mp4", f"{bucket}/in/mug.mp4")
    rows: list[dict[str, object]] = [
        {"uri": "mug.mp4", "id": "mug", "prompts": [{"box_xyxy": BOX, "label": "mug"}]},
        {"uri": "missing.mp4", "id": "missing"},
    ]
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text("\n".join(json.dumps(row) for row in rows))
    s3.put(manifest, f"{bucket}/in/manifest.jsonl")
    dataset = str(tmp_path / "dataset")
    config = str(write_config(tmp_path / "config.yaml", f"{bucket}/in/manifest.jsonl", dataset))
    with s3.read_only():
        reader = Shell.new()
    refused = reader.run("pvtt-flow", "run", config, "--set", f"output.uri={bucket}/out")
    assert refused.returncode == 2, refused.stdout
    assert "error: $.output.uri: a file must be written, but access to" in refused.stdout
    ended = reader.run("pvtt-flow", "run", config)
    assert ended.returncode == 0, ended.stdout
    records = rows_by_name(dataset)
    assert (records["mug.mp4"]["status"], records["mug.mp4"]["uri"]) == (
        "ok",
        f"{bucket}/in/mug.mp4",
    )
    missing = records["missing.mp4"]
    assert (missing["status"], missing["failure_kind"]) == ("failed", "unreadable")
    assert f"no file at {bucket}/in/missing.mp4" in missing["failure_message"]
    (masklet,) = open_dataset(dataset).masklets_of("mug", "missing")
    (prompt,) = masklet.prompts
    assert (masklet.label, prompt.origin, prompt.box_xyxy) == ("mug", "manifest", BOX)
    assert len(masklet.frames) == records["mug.mp4"]["num_frames"]


def pictures(folder: Path) -> list[Path]:
    """The first 24 frames of a sample as PNG, which keeps every pixel."""
    folder.mkdir()
    with (SAMPLES / "one_product.mp4").open("rb") as file:
        for frame in read_frames(file, stop_frame=24):
            path = folder / f"{frame.frame_index}.png"
            cv2.imwrite(str(path), frame.rgb[..., ::-1])
    return list(folder.iterdir())


def rows_by_name(dataset: str) -> dict[str, Any]:
    """The rows of `videos` by the names of their files."""
    rows = open_dataset(dataset).videos().to_table().to_pylist()
    return {row["uri"].rpartition("/")[2]: row for row in rows}
