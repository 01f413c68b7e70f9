"""Train the compact SAM 2 in stages of growing clip length, resumable from a checkpoint.

The number of an iteration seeds its random generator: with equal shards, a resumed run gives
exactly the weights of an uninterrupted one.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from sam2.modeling.sam2_base import SAM2Base

from pvtt_flow.training.checkpoint import resume, save
from pvtt_flow.training.corpus import Shard, load, shard_paths
from pvtt_flow.training.parallel import average_gradients, launch, rank, world_size
from pvtt_flow.training.segmenter.batch import Batch, sample_batch
from pvtt_flow.training.segmenter.loss import Loss, frame_loss
from pvtt_flow.training.segmenter.model import build, export
from pvtt_flow.training.segmenter.optimizers import (
    LEARNING_RATE,
    WeightAverage,
    learning_rate_share,
    make_optimizers,
    set_learning_rate,
)
from pvtt_flow.training.segmenter.track import track

MAX_GRADIENT = 1.0
LENGTHS = (8, 16)
"""Numbers of frames of the clips to train on."""


@dataclass(frozen=True)
class Stage:
    """Iterations on windows of one length."""

    iterations: int
    num_frames: int
    num_clips: int
    max_pairs: int
    """Largest number of prompted products of a clip."""


# Single frames until the model turns boxes into masks, many short iterations on two frames until
# it uses its memory, then longer and longer clips.
RECIPE = (
    Stage(500, num_frames=1, num_clips=24, max_pairs=4),
    Stage(200, num_frames=2, num_clips=8, max_pairs=4),
    Stage(300, num_frames=4, num_clips=6, max_pairs=4),
    Stage(550, num_frames=8, num_clips=4, max_pairs=4),
    Stage(150, num_frames=16, num_clips=2, max_pairs=4),
)
DECAY_SHARE = 0.35


class Trainer:
    """Model in training, with its optimizers, average and the number of iterations done."""

    def __init__(
        self,
        model: SAM2Base,
        recipe: tuple[Stage, ...] = RECIPE,
        *,
        seed: int = 0,
        muon: bool = True,
    ) -> None:
        self.model = model.train()
        self.recipe = recipe
        self.seed = seed
        self.total = sum(stage.iterations for stage in recipe)
        self.decay = int(self.total * DECAY_SHARE)
        self.optimizers = make_optimizers(model, muon=muon)
        self.average = WeightAverage(model)
        self.iteration = 0
        self.seconds = 0.0

    def stage(self) -> Stage:
        """Return the stage of the current iteration."""
        left = self.iteration
        for stage in self.recipe:
            if left < stage.iterations:
                return stage
            left -= stage.iterations
        return self.recipe[-1]

    def batch(self, shards: list[Shard]) -> Batch:
        """Return this process's part of the batch of an iteration."""
        stage = self.stage()
        rng = np.random.default_rng((self.seed, self.iteration, rank()))
        return sample_batch(
            rng, shards, num_clips=-(-stage.num_clips // world_size()), num_frames=stage.num_frames,
            max_pairs=stage.max_pairs,
        )  # fmt: skip

    def step(self, batch: Batch) -> list[Loss]:
        """Update the weights once; return the losses of its frames."""
        started = time.monotonic()
        share = learning_rate_share(self.iteration, self.total, self.decay)
        set_learning_rate(self.optimizers, LEARNING_RATE * share)
        predictions = track(self.model, batch)
        losses = [
            frame_loss(prediction, batch.masks[:, t], prompted=t == 0)
            for t, prediction in enumerate(predictions)
        ]
        total = torch.stack([loss.total for loss in losses]).mean()
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(total)
        average_gradients(self.model)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), MAX_GRADIENT)
        for optimizer in self.optimizers:
            optimizer.step()
        self.average.update(self.model, self.iteration)
        self.iteration += 1
        self.seconds += time.monotonic() - started
        return losses


def run(
    trainer: Trainer, shards: Callable[[], list[Shard]], checkpoint: Path,
    *, every: int = 100, report: Callable[[str], None] = print,
) -> None:  # fmt: skip
    """Train to the end of the recipe; every checkpoint calls `shards` again for new ones."""
    resume(trainer, checkpoint)
    loaded_shards = shards()
    recent: list[list[Loss]] = []
    while trainer.iteration < trainer.total:
        recent.append(trainer.step(trainer.batch(loaded_shards)))
        if trainer.iteration % 25 == 0:
            if rank() == 0:
                report(summary(trainer, recent))
            recent = []
        if trainer.iteration % every == 0 or trainer.iteration == trainer.total:
            if rank() == 0:
                save(trainer, checkpoint)
            loaded_shards = shards()


def summary(trainer: Trainer, recent: list[list[Loss]]) -> str:
    """Return a line of progress: iteration, loss, J on the first, second and last frame."""
    last = len(recent[-1]) - 1
    of_full_length = [losses for losses in recent if len(losses) == last + 1]

    def j(t: int) -> float:
        values = torch.cat([losses[t].j[losses[t].present] for losses in of_full_length])
        return float(values.mean())

    mask = float(np.mean([loss.mask for losses in of_full_length for loss in losses]))
    presence = float(np.mean([loss.presence for losses in of_full_length for loss in losses]))
    steps = " ".join(f"J{t}={j(t):.3f}" for t in sorted({0, min(1, last), last}))
    return (
        f"{trainer.iteration}/{trainer.total} T={last + 1} mask={mask:.3f} "
        f"presence={presence:.3f} {steps} {trainer.seconds:.0f}s"
    )


def train_segmenter(
    work: Path, *, report: Callable[[str], None], processes: int = 1, export_only: bool = False
) -> None:
    """Train on the shards under `work`, save checkpoints there, and write the shipped weights."""
    if not export_only:
        launch(_train, processes, work, report)
    trainer = Trainer(build())
    resume(trainer, work / "segmenter.pt")
    export(trainer.average.state)


def _train(work: Path, report: Callable[[str], None]) -> None:
    torch.manual_seed(0)
    trainer = Trainer(build())
    run(trainer, lambda: _shards(work / "corpus"), work / "segmenter.pt", report=report)


def _shards(folder: Path) -> list[Shard]:
    paths = [path for length in LENGTHS for path in shard_paths(folder, "train", length)]
    if not paths:
        raise FileNotFoundError(f"no clips at {folder}; run `python -m pvtt_flow.training render`")
    return [_load_cached(path) for path in paths]


@cache
def _load_cached(path: Path) -> Shard:
    return load(path)
