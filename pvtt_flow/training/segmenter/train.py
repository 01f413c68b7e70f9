"""Train the compact SAM 2 in stages of growing clip length, resumable from a checkpoint.

The number of an iteration seeds its random generator: with equal shards, a resumed run gives
exactly the weights of an uninterrupted one.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

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
from pvtt_flow.training.segmenter.prompts import KINDS, PromptPlan, Rng, draw_plan
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
_PURPOSES = ("plan", "batch", "clicks")


@dataclass(frozen=True)
class Step:
    """Losses of one update of the weights."""

    plan: PromptPlan
    num_frames: int
    losses: dict[tuple[int, bool], Loss]
    """By frame, and whether it was corrected."""


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
        plan = draw_plan(self._rng("plan"), stage.num_frames)
        rng = self._rng("batch", rank())
        return sample_batch(
            rng, shards, plan, num_clips=-(-stage.num_clips // world_size()),
            num_frames=stage.num_frames, max_pairs=stage.max_pairs,
        )  # fmt: skip

    def _rng(self, purpose: Literal["plan", "batch", "clicks"], *rest: int) -> Rng:
        """Return the generator of an iteration; all processes prompt in the same way."""
        return np.random.default_rng((self.seed, self.iteration, _PURPOSES.index(purpose), *rest))

    def step(self, batch: Batch) -> Step:
        """Update the weights once."""
        started = time.monotonic()
        share = learning_rate_share(self.iteration, self.total, self.decay)
        set_learning_rate(self.optimizers, LEARNING_RATE * share)
        outputs = track(self.model, batch, self._rng("clicks", rank()))
        losses = {
            (output.frame, output.is_corrected): frame_loss(
                output.prediction, batch.masks[:, output.frame], is_single=output.is_single
            )
            for output in outputs
        }
        total = torch.stack([loss.total for loss in losses.values()]).mean()
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
        return Step(batch.plan, batch.images.shape[1], losses)


def run(
    trainer: Trainer, shards: Callable[[], list[Shard]], checkpoint: Path,
    *, every: int = 100, report: Callable[[str], None] = print,
) -> None:  # fmt: skip
    """Train to the end of the recipe; every checkpoint calls `shards` again for new ones."""
    resume(trainer, checkpoint)
    loaded_shards = shards()
    recent: list[Step] = []
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


def summary(trainer: Trainer, recent: list[Step]) -> str:
    """Return a line of progress: iteration, losses, and J where it tells something.

    J1 and J7, say, are of the second and of the last frame; J of the first frame is told by kind of
    prompt, and that of corrected frames before and after the click.
    """
    num_frames = recent[-1].num_frames
    of_full_length = [step for step in recent if step.num_frames == num_frames]
    losses = [loss for step in of_full_length for loss in step.losses.values()]
    js: dict[str, float] = {
        kind: _mean_j(step.losses[0, False] for step in of_full_length if step.plan.kind == kind)
        for kind in KINDS
    }
    js |= {
        f"J{t}": _mean_j(step.losses[t, False] for step in of_full_length)
        for t in sorted({min(1, num_frames - 1), num_frames - 1} - {0})
    }
    clicked = [
        (step.losses[t, False], step.losses[t, True])
        for step in of_full_length
        if (t := step.plan.corrected) is not None
    ]
    js["before"] = _mean_j(before for before, _ in clicked)
    js["after"] = _mean_j(after for _, after in clicked)
    return (
        f"{trainer.iteration}/{trainer.total} T={num_frames} "
        f"mask={np.mean([loss.mask for loss in losses]):.3f} "
        f"presence={np.mean([loss.presence for loss in losses]):.3f} "
        + " ".join(f"{name}={j:.3f}" for name, j in js.items())
        + f" {trainer.seconds:.0f}s"
    )


def _mean_j(losses: Iterable[Loss]) -> float:
    """Return the mean J of the products that are there; NaN without any."""
    values = [loss.j[loss.present] for loss in losses]
    return float(torch.cat(values).mean()) if values else float("nan")


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
