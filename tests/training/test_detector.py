"""Training of the detector and the checkpoint that it writes."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from pvtt_flow.training.checkpoint import resume, save
from pvtt_flow.training.detector.batch import make_batch
from pvtt_flow.training.detector.model import build, detect, export, load_weights, open_detector
from pvtt_flow.training.detector.train import Trainer
from pvtt_flow.training.stills import Stills

SIDE_PX = 256


def stills() -> Stills:
    images = np.full((4, SIDE_PX, SIDE_PX, 3), 90, np.uint8)
    images[:3, 60:160, 40:120] = 230
    boxes = np.tile(np.array([[40, 60, 120, 160]], np.float32), (3, 1))
    return Stills(images, boxes, np.arange(3))


def test_augmentation_moves_boxes_with_their_images() -> None:
    for seed in range(12):
        batch = make_batch(np.random.default_rng(seed), stills(), np.arange(4), 64)
        assert batch["img"].shape == (4, 3, 64, 64)
        assert batch["batch_idx"].tolist() == [0, 1, 2]
        for image, (x, y, wide, tall) in zip(
            batch["img"], (batch["bboxes"] * 64).tolist(), strict=False
        ):
            bright = (image - image[:, :1, :1]).abs().sum(0) > 0.6
            rows, columns = torch.nonzero(bright, as_tuple=True)
            assert abs(float(columns.float().mean()) + 0.5 - x) < 1.5
            assert abs(float(rows.float().mean()) + 0.5 - y) < 1.5
            assert abs(int(bright.sum()) - wide * tall) < 0.2 * wide * tall


def test_a_resumed_trainer_returns_the_loss_of_the_original(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pvtt_flow.training.detector.train.BATCH", 4)
    monkeypatch.setattr("pvtt_flow.training.detector.train.SMALL_PX", 64)
    torch.manual_seed(0)
    trainer = Trainer(build(), total=100, bfloat16=False)
    trainer.step(stills())
    resumed = Trainer(build(), total=100, bfloat16=False)
    save(trainer, tmp_path / "checkpoint.pt")
    assert resume(resumed, tmp_path / "checkpoint.pt")
    assert trainer.step(stills()) == resumed.step(stills())


def test_ultralytics_opens_the_checkpoint_and_it_contains_no_local_path(tmp_path: Path) -> None:
    weights = tmp_path / "detector.pt"
    export(build().state_dict(), weights)
    model = open_detector(weights)
    assert model.names == {0: "product"}
    boxes, scores = detect(model, stills().images[0], min_score=0.0)
    assert boxes.shape == (len(scores), 4)
    content = weights.read_bytes()
    assert b"/work" not in content
    assert b"/home" not in content
    assert (tmp_path / "SHA256SUMS").read_text().endswith("  detector.pt\n")


def test_weights_are_read_as_they_were_written(tmp_path: Path) -> None:
    weights = tmp_path / "detector.pt"
    state = build().state_dict()
    export(state, weights)
    read = load_weights(weights)
    assert set(read) == set(state)
    for name, value in state.items():
        written = value.half() if value.is_floating_point() else value
        assert torch.equal(read[name], written.float()), name


@pytest.mark.parametrize("module", ["model", "train"])
def test_importing_the_trainer_writes_no_file(tmp_path: Path, module: str) -> None:
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    home.mkdir()
    temporary.mkdir()
    subprocess.run(
        [sys.executable, "-c", f"import pvtt_flow.training.detector.{module}"],
        capture_output=True,
        check=True,
        env={
            "HOME": str(home),
            "TMPDIR": str(temporary),
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
    )
    assert list(home.rglob("*")) == []
    assert list(temporary.rglob("*")) == []
