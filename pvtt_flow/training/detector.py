"""Trains the compact YOLO from scratch on rendered stills, with ultralytics' model and loss.

The loop is ours, so that nothing is downloaded, logged or plotted, a run resumes where it
stopped, and the checkpoint holds no path and no date.
"""

import os
import tempfile
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

# ultralytics writes settings and may fetch on import unless told otherwise.
os.environ.setdefault("YOLO_CONFIG_DIR", tempfile.mkdtemp(prefix="yolo_"))
os.environ.setdefault("YOLO_OFFLINE", "true")
os.environ.setdefault("YOLO_AUTOINSTALL", "false")

import numpy as np
import torch
from numpy.typing import NDArray
from ultralytics.cfg import DEFAULT_CFG_DICT
from ultralytics.nn.tasks import DetectionModel

from pvtt_flow.training.segmenter.model import EMBEDDED
from pvtt_flow.training.segmenter.optimise import Average
from pvtt_flow.training.stills import SIDE_PX, Stills, load

WEIGHTS = EMBEDDED / "detector.pt"
ARCHITECTURE = "yolo11n.yaml"
BATCH = 32
LEARNING_RATE, WEIGHT_DECAY, WARM_UP = 2e-3, 0.02, 100
# The last share of training comes down in a straight line.
DECAY_SHARE = 0.5


def build() -> DetectionModel:
    """YOLO11n with fresh weights and the one class `product`."""
    model = DetectionModel(ARCHITECTURE, nc=1, verbose=False)
    model.names = {0: "product"}
    model.args = SimpleNamespace(**DEFAULT_CFG_DICT)
    return model


def batch(rng: np.random.Generator, stills: Stills, order: NDArray[np.int64]) -> dict[str, Any]:
    """What ultralytics' loss takes: augmented images and boxes of the stills in `order`."""
    images, boxes, owners = [], [], []
    for slot, index in enumerate(order):
        image = stills.images[index]
        found = stills.boxes_xyxy[stills.image_index == index] / SIDE_PX
        image, found = _augment(rng, image, found)
        images.append(image)
        boxes.append(found)
        owners.append(np.full(len(found), slot))
    corners = torch.from_numpy(np.concatenate(boxes)).float()
    centre, size = (corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]
    return {
        "img": torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255,
        "bboxes": torch.cat([centre, size], dim=1),
        "cls": torch.zeros(len(corners), 1),
        "batch_idx": torch.from_numpy(np.concatenate(owners)).float(),
    }


def _augment(
    rng: np.random.Generator, image: NDArray[np.uint8], boxes: NDArray[np.float32]
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Mirrored, turned a quarter, recoloured; boxes are shares of the side."""
    if rng.random() < 0.5:
        image, boxes = image[:, ::-1], np.stack([1 - boxes[:, 2], boxes[:, 1], 1 - boxes[:, 0], boxes[:, 3]], 1)
    if rng.random() < 0.3:
        image, boxes = image[::-1], np.stack([boxes[:, 0], 1 - boxes[:, 3], boxes[:, 2], 1 - boxes[:, 1]], 1)
    if rng.random() < 0.3:
        image, boxes = image.swapaxes(0, 1), boxes[:, [1, 0, 3, 2]]
    if rng.random() < 0.5:
        image = image[..., rng.permutation(3)]
    if rng.random() < 0.5:
        levels = np.clip(np.arange(256) * rng.uniform(0.7, 1.4) + rng.normal(0, 12), 0, 255)
        image = levels.astype(np.uint8)[image]
    return image, boxes


class Trainer:
    """A detector in training and the iteration it has reached."""

    def __init__(self, model: DetectionModel, total: int) -> None:
        self.model = model.train().to(memory_format=torch.channels_last)
        self.total = total
        decayed = [w for w in model.parameters() if w.ndim > 1]
        rest = [w for w in model.parameters() if w.ndim <= 1]
        self.optimiser = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": rest, "weight_decay": 0.0}],
            lr=LEARNING_RATE,
        )  # fmt: skip
        self.average = Average(model)
        self.iteration = 0
        self.seconds = 0.0

    def step(self, stills: Stills) -> float:
        """One update; the loss per image."""
        started = time.monotonic()
        # An epoch is one shuffle: the generator of the epoch orders it, that of the
        # iteration augments, so that a resumed run goes on as an unbroken one.
        per_epoch = len(stills.images) // BATCH
        epoch, slot = divmod(self.iteration, per_epoch)
        order = np.random.default_rng((epoch, 1)).permutation(len(stills.images))
        data = batch(
            np.random.default_rng((self.iteration, 2)), stills, order[slot * BATCH : (slot + 1) * BATCH]
        )
        data["img"] = data["img"].to(memory_format=torch.channels_last)
        self._set_rate()
        loss = self.model.loss(data)[0].sum()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 10.0)
        self.optimiser.step()
        self.average.update(self.model, self.iteration)
        self.iteration += 1
        self.seconds += time.monotonic() - started
        return float(loss.detach()) / len(data["img"])

    def _set_rate(self) -> None:
        left = (self.total - self.iteration) / (self.total * DECAY_SHARE)
        share = min(1.0, (self.iteration + 1) / WARM_UP, max(0.01, left))
        for group in self.optimiser.param_groups:
            group["lr"] = LEARNING_RATE * share

    def state(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(), "average": self.average.state,
            "optimiser": self.optimiser.state_dict(), "iteration": self.iteration,
            "seconds": self.seconds,
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.average.state = state["average"]
        self.optimiser.load_state_dict(state["optimiser"])
        self.iteration, self.seconds = state["iteration"], state["seconds"]


def export(state: dict[str, torch.Tensor], weights: Path = WEIGHTS) -> None:
    """Writes a checkpoint that `ultralytics.YOLO` opens: half precision, no optimiser."""
    model = build()
    model.load_state_dict(state)
    model = deepcopy(model).eval().half()
    model.criterion = None
    model.args = {"imgsz": SIDE_PX, "task": "detect", "model": ARCHITECTURE, "data": "rendered"}
    for weight in model.parameters():
        weight.requires_grad = False
    part = weights.with_suffix(".part")
    torch.save({"model": model, "ema": None, "train_args": model.args, "epoch": -1}, part)
    part.rename(weights)


def train_detector(
    work: Path, *, epochs: int, export_only: bool = False, report: Callable[[str], None] = print
) -> None:
    """Trains to the end or goes on from the checkpoint in `work`, then exports."""
    checkpoint = work / "detector.pt"
    stills = load(work / "stills", "train")
    torch.manual_seed(0)
    trainer = Trainer(build(), epochs * (len(stills.images) // BATCH))
    if checkpoint.exists():
        trainer.restore(torch.load(checkpoint, map_location="cpu", weights_only=True))
    losses: list[float] = []
    while trainer.iteration < trainer.total and not export_only:
        losses.append(trainer.step(stills))
        if trainer.iteration % 25 == 0:
            report(
                f"{trainer.iteration}/{trainer.total} loss={np.mean(losses):.3f} {trainer.seconds:.0f}s"
            )
            losses = []
        if trainer.iteration % 100 == 0 or trainer.iteration == trainer.total:
            part = checkpoint.with_suffix(".part")
            torch.save(trainer.state(), part)
            part.rename(checkpoint)
    export(trainer.average.state)
