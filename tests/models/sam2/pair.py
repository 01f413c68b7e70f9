"""Two models with the same weights: the engine's and the official one."""

import copy
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from pvtt_flow.models.sam2.model import Sam2
from pvtt_flow.models.sam2.scheduler import Engine
from tests.models.sam2.compare import Difference, compare, sights
from tests.models.sam2.float32_memories import unrounded
from tests.models.sam2.official import Official, Reference
from tests.models.sam2.run_engine import Direction, autocast, run
from tests.models.sam2.shots import Shot


@dataclass(frozen=True, eq=False)
class Pair:
    model: Sam2
    official: Official

    def difference(
        self,
        shots: Sequence[Shot],
        direction: Direction,
        *,
        max_concurrent_shots: int = 4,
        fill_holes_px: int = 0,
        rounded: bool = False,
    ) -> Difference:
        """Of these shots, tracked together by the engine and object by object by the official
        predictor; without the rounding of memories, unless `rounded`."""
        with nullcontext() if rounded else unrounded():
            engine = Engine(self.model, max_concurrent_shots, fill_holes_px=fill_holes_px)
            seen = run(self.model, shots, direction, engine=engine)
            found = [sights(shot, own) for shot, own in zip(shots, seen, strict=True)]
            expected = [self.expected(shot, direction) for shot in shots]
        return sum(map(compare, found, expected), Difference())

    def expected(
        self, shot: Shot, direction: Direction, *, bfloat16: bool = False
    ) -> dict[tuple[int, int], Reference]:
        with torch.inference_mode(), autocast(bfloat16=bfloat16):
            return self.official.track(shot, direction)


def pair(predictor: Any) -> Pair:
    """The engine takes over the predictor that it gets, so it gets a copy."""
    return Pair(Sam2(copy.deepcopy(predictor)), Official(predictor))


def before_and_after(predictor: Any, shot: Shot, direction: Direction) -> Difference:
    """As `Pair.difference`, without a second copy: the engine takes over the predictor."""
    with unrounded():
        with torch.inference_mode():
            expected = Official(predictor).track(shot, direction)
        seen = run(Sam2(predictor), [shot], direction)[0]
        return compare(sights(shot, seen), expected)


def shaken(predictor: Any, presence: float = 3.0) -> Any:
    """The same predictor with every weight moved, so that each of them counts.

    As constructed, layers shrink what passes, and biases, embeddings and layer scales are close to
    0, so that a result would hardly depend on them, and least of all on memories. `presence` is
    added to the object score.
    """
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in predictor.parameters():
            spread = parameter.std().item() if parameter.dim() > 1 else 0.0
            step = 1.5 * spread if spread > 1e-3 else 0.2
            parameter.add_(step * torch.randn(parameter.shape, generator=generator))
        for name, parameter in predictor.memory_attention.named_parameters():
            if "cross_attn" in name and parameter.dim() > 1:
                parameter.mul_(2)
        predictor.sam_mask_decoder.pred_obj_score_head.layers[-1].bias.add_(presence)
    return predictor
