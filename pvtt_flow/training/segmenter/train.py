"""Train the compact SAM 2 in stages of growing clip length, resumable from a checkpoint.

There are two runs: one on small images, which learns most and costs least, and one on images of the
model's size, which begins with its weights. The number of an iteration seeds its random generator:
with equal shards, a resumed run gives exactly the weights of an uninterrupted one.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from sam2.modeling.sam2_base import SAM2Base

from pvtt_flow.training.checkpoint import resume, save
from pvtt_flow.training.corpus import Shard, load, shard_paths
from pvtt_flow.training.parallel import average_gradients, launch, rank, world_size
from pvtt_flow.training.segmenter.batch import Batch
from pvtt_flow.training.segmenter.batches import draw, rng_of
from pvtt_flow.training.segmenter.loss import Loss, frame_loss
from pvtt_flow.training.segmenter.model import CONFIG, WEIGHTS, build, export, load_weights
from pvtt_flow.training.segmenter.optimizers import (
    WeightAverage,
    learning_rate_share,
    make_optimizers,
    set_learning_rate,
)
from pvtt_flow.training.segmenter.prompts import KINDS, PromptPlan
from pvtt_flow.training.segmenter.recipe import SMALL, Recipe
from pvtt_flow.training.segmenter.track import track

MAX_GRADIENT = 1.0
LENGTHS = (8, 16)
"""Numbers of frames of the clips to train on."""
DECAY_SHARE = 0.35
_REPORTED = 25


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
        recipe: Recipe = SMALL,
        *,
        seed: int = 0,
        muon: bool = True,
    ) -> None:
        self.model = model.train()
        self.recipe = recipe
        self.seed = seed
        self.total = recipe.num_iterations
        self.decay = int(self.total * DECAY_SHARE)
        self.optimizers = make_optimizers(model, muon=muon)
        self.average = WeightAverage(model)
        self.iteration = 0
        self.seconds = 0.0

    def step(self, batch: Batch) -> Step:
        """Update the weights once."""
        started = time.monotonic()
        share = learning_rate_share(self.iteration, self.total, self.decay)
        set_learning_rate(self.optimizers, self.recipe.learning_rate * share)
        batch = batch.to(next(self.model.parameters()).device)
        clicks = rng_of(self.seed, self.iteration, "clicks", rank())
        outputs = track(self.model, batch, clicks)
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
    *, every: int = 100, num_workers: int = 0, report: Callable[[str], None] = print,
) -> None:  # fmt: skip
    """Train to the end of the recipe; every checkpoint calls `shards` again for new ones."""
    resume(trainer, checkpoint)
    recent: list[Step] = []
    while trainer.iteration < trainer.total:
        stop = min(trainer.iteration - trainer.iteration % every + every, trainer.total)
        ahead = range(trainer.iteration, stop)
        for batch in draw(trainer.recipe, shards(), trainer.seed, ahead, num_workers):
            recent.append(trainer.step(batch))
            if trainer.iteration % _REPORTED == 0:
                if rank() == 0:
                    report(summary(trainer, recent))
                recent = []
        if rank() == 0:
            save(trainer, checkpoint)


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
        if kind != "mask"
    }
    js |= {
        f"J{t}": _mean_j(
            step.losses[t, False] for step in of_full_length if (t, False) in step.losses
        )
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


@dataclass(frozen=True)
class Setup:
    """Beginning of a run, and what it runs on."""

    weights: Path | None = None
    """Weights to begin with; None: those of the run on smaller images, else random ones."""
    device: str = "cpu"
    processes: int = 1
    """Processes that train together."""
    num_workers: int = 0
    """Processes that draw batches ahead of time, for a GPU."""


def train_segmenter(
    work: Path, recipe: Recipe, setup: Setup, *, report: Callable[[str], None],
    export_only: bool = False,
) -> None:  # fmt: skip
    """Train on the shards under `work`, save checkpoints there, and write the shipped weights.

    They are not written for another size of images than their config's, at which they would be
    used.
    """
    if not export_only:
        launch(_train, setup.processes, work, recipe, setup, report)
    trainer = Trainer(build(side_px=recipe.side_px), recipe)
    checkpoint = checkpoint_of(work, recipe.side_px)
    if not resume(trainer, checkpoint):
        raise FileNotFoundError(f"{checkpoint} must exist; train first")
    shipped_px = build().image_size
    if recipe.side_px != shipped_px:
        report(
            f"{WEIGHTS.name} is unchanged: {CONFIG.name} is for images of {shipped_px} px; set "
            f"image_size to {recipe.side_px} and feat_sizes to a 16th of it there, and run again "
            "with --export-only"
        )
        return
    export(trainer.average.state)


def checkpoint_of(work: Path, side_px: int) -> Path:
    """Return the path of a run's checkpoint."""
    return work / f"segmenter_{side_px}.pt"


def _train(work: Path, recipe: Recipe, setup: Setup, report: Callable[[str], None]) -> None:
    torch.manual_seed(0)
    model = build(side_px=recipe.side_px)
    smaller = checkpoint_of(work, SMALL.side_px)
    if setup.weights is not None:
        model.load_state_dict(load_weights(setup.weights))
    elif recipe.side_px != SMALL.side_px and smaller.exists():
        model.load_state_dict(torch.load(smaller, weights_only=True)["average"])
    run(
        Trainer(model.to(setup.device), recipe),
        lambda: _shards(work / "corpus", recipe.side_px),
        checkpoint_of(work, recipe.side_px),
        num_workers=setup.num_workers,
        report=report,
    )


def _shards(folder: Path, side_px: int) -> list[Shard]:
    """Return this process's part of the finished shards."""
    mine: list[Path] = []
    for length in LENGTHS:
        paths = shard_paths(folder, "train", length)
        mine += paths[rank() :: world_size()] or paths
    if not mine:
        raise FileNotFoundError(f"no clips at {folder}; run `python -m pvtt_flow.training render`")
    return [_load_cached(path, side_px) for path in mine]


_load_cached = cache(load)
