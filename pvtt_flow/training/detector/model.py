"""Compact YOLO: ultralytics' own model, and the checkpoint that ships."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from ultralytics.nn.tasks import DetectionModel
from ultralytics.utils import DEFAULT_CFG_DICT

from pvtt_flow.training.embedded import EMBEDDED, write_weights
from pvtt_flow.training.stills import SIDE_PX

WEIGHTS = EMBEDDED / "detector.pt"
ARCHITECTURE = "yolo11n.yaml"


def build() -> DetectionModel:
    """Build a YOLO11n with fresh weights and the one class `product`."""
    make: Any = DetectionModel
    model: DetectionModel = make(ARCHITECTURE, nc=1, verbose=False)
    vars(model).update(names={0: "product"}, args=SimpleNamespace(**DEFAULT_CFG_DICT))
    return model


def export(state: dict[str, torch.Tensor], weights: Path = WEIGHTS) -> None:
    """Write a checkpoint that `ultralytics.YOLO` opens: half precision, no path, no date."""
    model = build()
    model.load_state_dict(state)
    model = model.eval().half()
    train_args = {"imgsz": SIDE_PX, "task": "detect", "model": ARCHITECTURE, "data": "rendered"}
    vars(model).update(args=train_args)
    for weight in model.parameters():
        weight.requires_grad = False
    content = {"model": model, "ema": None, "train_args": train_args, "epoch": -1}
    write_weights(content, weights)


def load_weights(path: Path = WEIGHTS) -> dict[str, torch.Tensor]:
    """Read the weights that `export` wrote, in single precision."""
    state: dict[str, torch.Tensor] = open_detector(path).model.state_dict()
    return {name: value.float() for name, value in state.items()}


def detect(
    model: Any, image: NDArray[np.uint8], *, min_score: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the boxes (N, 4) xyxy and scores (N,) of the model on an RGB image."""
    bgr = np.ascontiguousarray(image[..., ::-1])
    detections = model.predict(bgr, imgsz=SIDE_PX, conf=min_score, iou=0.6, verbose=False)[0].boxes
    return detections.xyxy.numpy(), detections.conf.numpy()


def open_detector(weights: Path = WEIGHTS) -> Any:
    """Open the shipped detector with ultralytics."""
    from ultralytics.models import YOLO

    make: Any = YOLO
    return make(str(weights))
