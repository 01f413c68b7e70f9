"""Checkpoints, from which a training run resumes."""

from pathlib import Path
from typing import Any, Protocol

import torch

from pvtt_flow.training.segmenter.optimise import Average


class Resumable(Protocol):
    """Parts that both trainers have."""

    model: Any
    average: Average
    optimisers: list[torch.optim.Optimizer]
    iteration: int
    seconds: float


def save(trainer: Resumable, path: Path) -> None:
    """Writes a checkpoint, whole or not at all."""
    part = path.with_suffix(".part")
    state = {
        "model": trainer.model.state_dict(),
        "average": trainer.average.state,
        "optimisers": [optimiser.state_dict() for optimiser in trainer.optimisers],
        "iteration": trainer.iteration,
        "seconds": trainer.seconds,
    }
    torch.save(state, part)
    part.rename(path)


def resume(trainer: Resumable, path: Path) -> bool:
    """Goes on from a checkpoint where there is one."""
    if not path.exists():
        return False
    state = torch.load(path, map_location="cpu", weights_only=True)
    trainer.model.load_state_dict(state["model"])
    trainer.average.state = state["average"]
    for optimiser, saved in zip(trainer.optimisers, state["optimisers"], strict=True):
        optimiser.load_state_dict(saved)
    trainer.iteration, trainer.seconds = state["iteration"], state["seconds"]
    return True
