"""Weights files of detectors and text encoders, made from the embedded one or at random."""

from pathlib import Path
from typing import Any

import torch

from pvtt_flow.models.checkpoints import embedded_file
from pvtt_flow.models.ultralytics_model import import_yolo

# The logit of a class that is never detected.
_NEVER = -20.0


def embedded_checkpoint() -> dict[str, Any]:
    """Return the embedded detector as ultralytics stores it: its module and more, by name."""
    import_yolo()
    checkpoint: dict[str, Any] = torch.load(
        embedded_file("detector.pt"), map_location="cpu", weights_only=False
    )
    return checkpoint


def detector_of_two_classes(path: Path, names: Any) -> Path:
    """Save the embedded detector with a second class, which it never finds."""
    checkpoint = embedded_checkpoint()
    model = checkpoint["model"]
    head = model.model[-1]
    for layers in head.cv3:
        one = layers[-1]
        two = torch.nn.Conv2d(one.in_channels, 2, 1)
        unused = torch.zeros_like(one.weight.data)
        two.weight = torch.nn.Parameter(torch.cat([one.weight.data, unused]))
        two.bias = torch.nn.Parameter(torch.cat([one.bias.data, torch.tensor([_NEVER])]))
        layers[-1] = two
    head.nc, head.no = 2, 2 + 4 * head.reg_max
    model.names = names
    torch.save({**checkpoint, "model": model, "ema": None}, path)
    return path


def detector_of_task(path: Path, task: str) -> Path:
    """Save a YOLO of another task with the weights of the embedded detector where it has the same.

    The task is as ultralytics names it in its files: `seg`, `pose`, `obb`, `cls`.
    """
    yolo_class = import_yolo()
    torch.manual_seed(0)
    yolo = yolo_class(f"yolo11n-{task}.yaml")
    embedded = embedded_checkpoint()["model"]
    model = type(yolo.model)({**yolo.model.yaml, "nc": 1}, verbose=False)
    state = embedded.state_dict() if task != "cls" else {}
    model.load_state_dict(state, strict=False)
    model.names = embedded.names
    arguments = {"task": yolo.task, "imgsz": 256}
    torch.save({"model": model, "ema": None, "train_args": arguments, "epoch": -1}, path)
    return path


class TextEncoder(torch.nn.Module):
    """Text encoder of the form of MobileCLIP's: tokens (N, 77) to features (N, 512)."""

    def __init__(self) -> None:
        super().__init__()
        self.words = torch.nn.Embedding(49408, 512)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.normalize(self.words(tokens).sum(1), dim=-1)


def random_text_encoder(path: Path) -> Path:
    """Save a text encoder with random weights, as MobileCLIP's are saved."""
    torch.manual_seed(0)
    encoder: Any = torch.jit.script(TextEncoder())
    encoder.save(str(path))
    return path


def random_model(path: Path, config: str) -> Path:
    """Save a model with random weights that is sure of what it says."""
    yolo: Any = import_yolo()
    if config.startswith("rtdetr"):
        from ultralytics.models import RTDETR as yolo  # noqa: N811
    torch.manual_seed(0)
    model = yolo(config).model
    for module in model.modules():
        # Of an untrained head the scores are below any that is looked at.
        if "ContrastiveHead" in type(module).__name__:
            module.bias.data.fill_(0.0)
    # Normalization learns the sizes of random features; without, all scores are equal.
    model.train()
    with torch.no_grad():
        for _ in range(8):
            model.predict(torch.rand(2, 3, 64, 64))
    model.eval()
    torch.save({"model": model, "ema": None, "train_args": {"imgsz": 128}, "epoch": -1}, path)
    return path
