"""Train the compact YOLO from scratch on rendered stills, with ultralytics' model and loss.

The training loop is our own: it downloads, logs and plots nothing, and a run resumes where it
stopped. Small images come first: they cost a third and teach most of the task.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ultralytics.nn.tasks import DetectionModel

from pvtt_flow.training.checkpoint import resume, save
from pvtt_flow.training.detector.batch import make_batch
from pvtt_flow.training.detector.model import build, export, load_weights
from pvtt_flow.training.parallel import average_gradients, launch, rank, world_size
from pvtt_flow.training.segmenter.optimizers import WeightAverage, set_learning_rate
from pvtt_flow.training.stills import SIDE_PX, Stills, load

BATCH = 32
LEARNING_RATE, WEIGHT_DECAY, WARM_UP = 2e-3, 0.02, 50
SMALL_PX, SMALL_SHARE = 160, 0.6
# The learning rate falls linearly over the last share of the iterations.
DECAY_SHARE = 0.5


class Trainer:
    """Detector in training, with its optimizers and the number of iterations done."""

    def __init__(self, model: DetectionModel, total: int, *, bfloat16: bool = True) -> None:
        self.model = model.train()
        self._loss: Callable[[dict[str, Any]], tuple[torch.Tensor, ...]] = model.loss
        self.total = total
        # Convolutions run 1.6 times as fast on CPUs with bfloat16 (measured).
        self.bfloat16 = bfloat16
        self.filters, rest = _split_parameters(model)
        # Muon takes matrices: each is a view of a filter bank and shares its memory.
        self.matrices = [torch.nn.Parameter(w.data.view(len(w), -1)) for w in self.filters]
        self.optimizers = [
            torch.optim.AdamW(rest, lr=LEARNING_RATE, weight_decay=0.0),
            torch.optim.Muon(
                self.matrices, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY,
                adjust_lr_fn="match_rms_adamw", ns_steps=4,
            ),
        ]  # fmt: skip
        self.average = WeightAverage(model)
        self.iteration = 0
        self.seconds = 0.0

    def step(self, stills: Stills) -> float:
        """Update the weights once; return the loss per image."""
        started = time.monotonic()
        side_px = SMALL_PX if self.iteration < SMALL_SHARE * self.total else SIDE_PX
        batch = make_batch(
            np.random.default_rng((self.iteration, rank())), stills, self._order(stills), side_px
        )
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
            loss: torch.Tensor = self._loss(batch)[0].sum()
        for weight in self.model.parameters():
            weight.grad = None
        torch.autograd.backward(loss)
        average_gradients(self.model)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 10.0)
        for matrix, weight in zip(self.matrices, self.filters, strict=True):
            matrix.grad = None if weight.grad is None else weight.grad.reshape(matrix.shape)
        self._set_rate()
        for optimizer in self.optimizers:
            optimizer.step()
        self.average.update(self.model, self.iteration)
        self.iteration += 1
        self.seconds += time.monotonic() - started
        return float(loss.detach()) / len(batch["img"])

    def _order(self, stills: Stills) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Return this process's stills of an iteration; each epoch is one shuffle."""
        epoch, slot = divmod(self.iteration, len(stills.images) // BATCH)
        shuffled = np.random.default_rng(epoch).permutation(len(stills.images))
        return shuffled[slot * BATCH : (slot + 1) * BATCH][rank() :: world_size()]

    def _set_rate(self) -> None:
        remaining_share = (self.total - self.iteration) / (self.total * DECAY_SHARE)
        share = min(1.0, (self.iteration + 1) / WARM_UP, max(0.01, remaining_share))
        set_learning_rate(self.optimizers, LEARNING_RATE * share)


def _split_parameters(
    model: DetectionModel,
) -> tuple[list[torch.nn.Parameter], list[torch.nn.Parameter]]:
    """Return the filter banks inside the network, and the other parameters with a gradient."""
    filters: list[torch.nn.Parameter] = []
    rest: list[torch.nn.Parameter] = []
    for weight in model.parameters():
        hidden = weight.ndim == 4 and weight.shape[1] > 3 and weight.shape[0] > 1
        (filters if hidden and weight.requires_grad else rest).append(weight)
    return filters, [weight for weight in rest if weight.requires_grad]


def train_detector(
    work: Path, *, iterations: int, report: Callable[[str], None], weights: Path | None = None,
    processes: int = 1, export_only: bool = False,
) -> None:  # fmt: skip
    """Train to the end, from the checkpoint in `work` if it exists, then export the weights.

    Without a checkpoint, it begins with `weights`, else with random ones.
    """
    if not export_only:
        launch(_train, processes, work, iterations, weights, report)
    trainer = Trainer(build(), iterations)
    resume(trainer, work / "detector.pt")
    export(trainer.average.state)


def _train(
    work: Path, iterations: int, weights: Path | None, report: Callable[[str], None]
) -> None:
    torch.manual_seed(0)
    stills = load(work / "stills", "train")
    model = build()
    if weights is not None:
        model.load_state_dict(load_weights(weights))
    trainer = Trainer(model, iterations)
    resume(trainer, work / "detector.pt")
    losses: list[float] = []
    while trainer.iteration < trainer.total:
        losses.append(trainer.step(stills))
        if rank() == 0 and trainer.iteration % 25 == 0:
            report(
                f"{trainer.iteration}/{trainer.total} loss={np.mean(losses):.3f} "
                f"{trainer.seconds:.0f}s"
            )
            losses = []
        if rank() == 0 and (trainer.iteration % 100 == 0 or trainer.iteration == trainer.total):
            save(trainer, work / "detector.pt")
