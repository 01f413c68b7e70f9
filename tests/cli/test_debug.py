"""`debug`: the whole flow on one video, in one process, without Ray."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from pvtt_flow.models import checkpoints
from pvtt_flow.models.checkpoints import sha256_of
from tests.cli.terminal import pvtt_flow
from tests.models.weights import random_model, random_text_encoder
from tests.pipeline.runs import num_processed, sample, write_config

SCRIPT = """
import sys
from pvtt_flow.cli import main
try:
    main()
except SystemExit as ended:
    assert not ended.code
print("ray" if "ray" in sys.modules else "no ray")
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    # `debug` puts its own video in the place of the input, and writes no dataset.
    return write_config(tmp_path / "config.yaml", "/nowhere", "/nowhere")


def test_every_stage_leaves_rows_and_pictures(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    video = sample("two_products.mp4")
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, "debug", video, "--config", config, "--out", out],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.splitlines()[-1] == "no ray"
    assert sorted(path.name for path in out.iterdir()) == [
        "1_inspect.json",
        "2_detect.json",
        "2_detect_0.png",
        "3_propagate.json",
        "4_judge.json",
        "4_judge_0.png",
    ]
    (record,) = json.loads((out / "4_judge.json").read_text())
    assert record["num_frames"] == num_processed(video)
    assert record["source"]["uri"] == str(video)
    for masklet in record["masklets"]:
        assert masklet["verdict"] in ("accept", "review", "reject")
    with Image.open(out / "2_detect_0.png") as picture:
        width_px, height_px = (record["video"][side] for side in ("width_px", "height_px"))
        assert picture.width / picture.height == width_px / height_px
    with Image.open(out / "4_judge_0.png") as sheet:
        assert sheet.format == "PNG"


def test_a_bad_video_ends_at_its_stage(config: Path, tmp_path: Path) -> None:
    # In YAML, the language of overrides, such a name would end at the space.
    bad, out = tmp_path / "text #2.mp4", tmp_path / "out"
    bad.write_text("no video\n" * 100)
    ended = pvtt_flow("debug", bad, "--config", config, "--out", out)
    assert ended.code == 1
    assert "inspect: failed: not_a_video: the content must be a video file" in ended.out
    assert [path.name for path in out.iterdir()] == ["1_inspect.json"]
    (record,) = json.loads((out / "1_inspect.json").read_text())
    assert record["source"]["uri"] == str(bad)


def test_one_video_is_processed_at_a_time(config: Path, tmp_path: Path) -> None:
    ended = pvtt_flow("debug", sample(""), "--config", config, "--out", tmp_path / "out")
    assert ended.code == 2
    assert ended.err.startswith("error: VIDEO must be one video, got ")
    assert not (tmp_path / "out").exists()


def test_a_file_in_place_of_the_folder_is_refused(config: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    video = sample("no_product.mp4")
    ended = pvtt_flow("debug", video, "--config", config, "--out", tmp_path / "out")
    assert ended.code == 2
    assert ended.err.startswith(f"error: --out must be a folder or a new one, got {tmp_path}/out")


def test_a_detector_that_looks_for_phrases(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Look for phrases with random weights: boxes mean nothing, labels are the phrases."""
    weights = random_model(tmp_path / "yoloe.pt", "yoloe-26n-seg.yaml")
    encoder = checkpoints.known()["mobileclip2_b"]
    file = random_text_encoder(tmp_path / encoder.file_name)
    known = {**checkpoints.known(), encoder.name: replace(encoder, sha256=sha256_of(file))}
    monkeypatch.setattr(checkpoints, "known", lambda: known)
    keys = {
        "detector.weights": weights,
        "detector.sha256": sha256_of(weights),
        "detector.image_size_px": 128,
        "detect.phrases": "[mug, bottle]",
        "detect.absorb": "[hand]",
        "run.models": tmp_path,
    }
    out = tmp_path / "out"
    overrides = [part for key, value in keys.items() for part in ("--set", f"{key}={value}")]
    video = sample("one_product.mp4")
    shown = pvtt_flow("debug", video, "--config", config, "--out", out, *overrides)
    assert shown.code == 0, shown.err
    (record,) = json.loads((out / "4_judge.json").read_text())
    labels = {masklet["label"] for masklet in record["masklets"]}
    assert labels
    assert labels <= {"mug", "bottle"}
