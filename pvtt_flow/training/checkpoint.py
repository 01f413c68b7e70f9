"""Checkpoints, from which a training run resumes."""

from pathlib import Path
from typing import Any, Protocol

import torch

from pvtt_flow.training.segmenter.optimizers import WeightAverage

# Checkpoints that were written before have this spelling.
_OPTIMIZERS = "optimisers"


class Resumable(Protocol):
    """Attributes of both trainers that a checkpoint holds."""

    model: Any
    average: WeightAverage
    optimizers: list[torch.optim.Optimizer]
    iteration: int
    seconds: float


def save(trainer: Resumable, path: Path) -> None:
    """Write a checkpoint; the file gets its name when it is complete."""
    part = path.with_suffix(".part")
    state = {
        "model": trainer.model.state_dict(),
        "average": trainer.average.state,
        _OPTIMIZERS: [optimizer.state_dict() for optimizer in trainer.optimizers],
        "iteration": trainer.iteration,
        "seconds": trainer.seconds,
    }
    torch.save(state, part)
    part.rename(path)


def resume(trainer: Resumable, path: Path) -> bool:
    """Load a checkpoint into the trainer, if it exists; return whether it does."""
    if not path.exists():
        return False
    state = torch.load(path, map_location="cpu", weights_only=True)
    trainer.model.load_state_dict(state["model"])
    trainer.average.state = state["average"]
    for optimizer, optimizer_state in zip(trainer.optimizers, state[_OPTIMIZERS], strict=True):
        optimizer.load_state_dict(optimizer_state)
    trainer.iteration, trainer.seconds = state["iteration"], state["seconds"]
    return True
