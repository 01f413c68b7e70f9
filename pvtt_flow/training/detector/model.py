"""The compact YOLO: ultralytics' own model, and the checkpoint that ships."""

import os
import tempfile
from pathlib import Path
from types import SimpleNamespace

# ultralytics writes settings and may fetch on import unless told otherwise.
os.environ.setdefault("YOLO_CONFIG_DIR", tempfile.mkdtemp(prefix="yolo_"))
os.environ.setdefault("YOLO_OFFLINE", "true")
os.environ.setdefault("YOLO_AUTOINSTALL", "false")

import torch
from ultralytics.cfg import DEFAULT_CFG_DICT
from ultralytics.nn.tasks import DetectionModel

from pvtt_flow.training.segmenter.model import EMBEDDED
from pvtt_flow.training.stills import SIDE_PX

WEIGHTS = EMBEDDED / "detector.pt"
ARCHITECTURE = "yolo11n.yaml"


def build() -> DetectionModel:
    """YOLO11n with fresh weights and the one class `product`."""
    model = DetectionModel(ARCHITECTURE, nc=1, verbose=False)
    model.names = {0: "product"}
    model.args = SimpleNamespace(**DEFAULT_CFG_DICT)
    return model


def export(state: dict[str, torch.Tensor], weights: Path = WEIGHTS) -> None:
    """Writes a checkpoint that `ultralytics.YOLO` opens: half precision, no path, no date."""
    model = build()
    model.load_state_dict(state)
    model = model.eval().half()
    model.args = {"imgsz": SIDE_PX, "task": "detect", "model": ARCHITECTURE, "data": "rendered"}
    for weight in model.parameters():
        weight.requires_grad = False
    part = weights.with_suffix(".part")
    torch.save({"model": model, "ema": None, "train_args": model.args, "epoch": -1}, part)
    part.rename(weights)
