"""Recipes of the segmenter's training: how many iterations on clips of which length and size."""

from dataclasses import dataclass, replace

from pvtt_flow.training.segmenter.optimizers import LEARNING_RATE


@dataclass(frozen=True)
class Stage:
    """Iterations on windows of one length."""

    iterations: int
    num_frames: int
    num_clips: int
    num_pairs: int
    """Prompted products of a batch; equal numbers let processes wait little for each other."""


@dataclass(frozen=True)
class Recipe:
    """Run on images of one size."""

    side_px: int
    stages: tuple[Stage, ...]
    learning_rate: float = LEARNING_RATE

    @property
    def num_iterations(self) -> int:
        """Return the iterations of all stages."""
        return sum(stage.iterations for stage in self.stages)

    def scaled(self, share: float, *, clips: int = 1) -> "Recipe":
        """Return the recipe with a share of its iterations, and so many times the clips of each.

        Weights that know a part need fewer iterations, and a GPU takes more clips at once.
        """
        stages = (
            replace(
                s,
                iterations=round(share * s.iterations),
                num_clips=clips * s.num_clips,
                num_pairs=clips * s.num_pairs,
            )
            for s in self.stages
        )
        return replace(self, stages=tuple(stages))

    def stage(self, iteration: int) -> Stage:
        """Return the stage of an iteration, from 0."""
        left = iteration
        for stage in self.stages:
            if left < stage.iterations:
                return stage
            left -= stage.iterations
        return self.stages[-1]


# Single frames until the model turns prompts into masks, many short iterations on two frames until
# it uses its memory, then longer and longer clips.
SMALL = Recipe(
    128,
    (
        Stage(800, num_frames=1, num_clips=24, num_pairs=60),
        Stage(500, num_frames=2, num_clips=8, num_pairs=20),
        Stage(900, num_frames=4, num_clips=6, num_pairs=16),
        Stage(2000, num_frames=8, num_clips=4, num_pairs=10),
        Stage(400, num_frames=16, num_clips=2, num_pairs=6),
    ),
)
LARGE = Recipe(
    256,
    (
        Stage(150, num_frames=1, num_clips=16, num_pairs=40),
        Stage(300, num_frames=4, num_clips=4, num_pairs=10),
        Stage(600, num_frames=8, num_clips=4, num_pairs=10),
    ),
    learning_rate=6e-4,
)
RECIPES = {recipe.side_px: recipe for recipe in (SMALL, LARGE)}
