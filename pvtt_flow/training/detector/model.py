"""The compact YOLO: ultralytics' own model, and the checkpoint that ships."""

import os
import tempfile
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
from ultralytics.nn.tasks import DetectionModel
from ultralytics.utils import DEFAULT_CFG_DICT

from pvtt_flow.training.checksums import write_checksums
from pvtt_flow.training.segmenter.model import EMBEDDED
from pvtt_flow.training.stills import SIDE_PX

WEIGHTS = EMBEDDED / "detector.pt"
ARCHITECTURE = "yolo11n.yaml"


def build() -> DetectionModel:
    """YOLO11n with fresh weights and the one class `product`."""
    make: Any = DetectionModel
    model: DetectionModel = make(ARCHITECTURE, nc=1, verbose=False)
    vars(model).update(names={0: "product"}, args=SimpleNamespace(**DEFAULT_CFG_DICT))
    return model


def export(state: dict[str, torch.Tensor], weights: Path = WEIGHTS) -> None:
    """Writes a checkpoint that `ultralytics.YOLO` opens: half precision, no path, no date."""
    model = build()
    model.load_state_dict(state)
    model = model.eval().half()
    facts = {"imgsz": SIDE_PX, "task": "detect", "model": ARCHITECTURE, "data": "rendered"}
    vars(model).update(args=facts)
    for weight in model.parameters():
        weight.requires_grad = False
    part = weights.with_suffix(".part")
    torch.save({"model": model, "ema": None, "train_args": facts, "epoch": -1}, part)
    part.rename(weights)
    write_checksums(weights.parent)


def detect(
    model: Any, image: NDArray[np.uint8], *, min_score: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Boxes (N, 4) xyxy and scores (N,) that an opened checkpoint finds in a RGB image."""
    bgr = np.ascontiguousarray(image[..., ::-1])
    found = model.predict(bgr, imgsz=SIDE_PX, conf=min_score, iou=0.6, verbose=False)[0].boxes
    return found.xyxy.numpy(), found.conf.numpy()


def opened(weights: Path = WEIGHTS) -> Any:
    """The shipped detector as ultralytics opens it."""
    from ultralytics.models import YOLO

    make: Any = YOLO
    return make(str(weights))
