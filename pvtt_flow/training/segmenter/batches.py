"""Batches of a run by number: an iteration's number alone decides what it learns from."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from torch.utils.data import DataLoader, Dataset

from pvtt_flow.training.corpus import Shard
from pvtt_flow.training.parallel import rank, world_size
from pvtt_flow.training.segmenter.batch import Batch, sample_batch
from pvtt_flow.training.segmenter.prompts import Rng, draw_plan
from pvtt_flow.training.segmenter.recipe import Recipe

_PURPOSES = ("plan", "batch", "clicks")


def rng_of(
    seed: int, iteration: int, purpose: Literal["plan", "batch", "clicks"], *rest: int
) -> Rng:
    """Return the generator of an iteration."""
    return np.random.default_rng((seed, iteration, _PURPOSES.index(purpose), *rest))


@dataclass(frozen=True)
class Batches(Dataset[Batch]):
    """Parts of the batches that this process learns from; all processes prompt in the same way."""

    recipe: Recipe
    shards: list[Shard]
    seed: int
    rank: int
    world_size: int

    def __getitem__(self, iteration: int) -> Batch:
        """Draw the batch of an iteration."""
        stage = self.recipe.stage(iteration)
        return sample_batch(
            rng_of(self.seed, iteration, "batch", self.rank),
            self.shards,
            draw_plan(rng_of(self.seed, iteration, "plan"), stage.num_frames),
            num_clips=-(-stage.num_clips // self.world_size),
            num_frames=stage.num_frames,
            num_pairs=-(-stage.num_pairs // self.world_size),
        )


def draw(
    recipe: Recipe, shards: list[Shard], seed: int, iterations: range, num_workers: int = 0
) -> Iterable[Batch]:
    """Return the batches of some iterations, drawn by processes ahead of time if there are any."""
    batches = Batches(recipe, shards, seed, rank(), world_size())
    loader: Iterable[Batch] = DataLoader(
        batches, batch_size=None, sampler=iterations, num_workers=num_workers, collate_fn=_as_it_is
    )
    return loader


def _as_it_is(batch: Any) -> Any:
    return batch
