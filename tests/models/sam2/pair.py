"""Two models with the same weights: this package's and the official one."""

import copy
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from pvtt_flow.models.sam2.architectures.architecture import Architecture
from pvtt_flow.models.sam2.architectures.sam2 import SAM2
from pvtt_flow.models.sam2.model import Sam2
from pvtt_flow.models.sam2.scheduler import Scheduler
from tests.models.sam2.compare import Difference, compare, outputs_by_object
from tests.models.sam2.float32_memories import float32_memories
from tests.models.sam2.official import ObjectOutput, OfficialTracker
from tests.models.sam2.run_scheduler import Direction, autocast, run
from tests.models.sam2.shots import Shot


@dataclass(frozen=True, eq=False)
class Pair:
    model: Sam2
    official: OfficialTracker

    def difference(
        self,
        shots: Sequence[Shot],
        direction: Direction,
        *,
        max_concurrent_shots: int = 4,
        fill_holes_px: int = 0,
        bfloat16_memories: bool = False,
    ) -> Difference:
        """Compare these shots, tracked together, with the official predictor's, object by object.

        Memories are stored in float32 by both, unless `bfloat16_memories`.
        """
        with nullcontext() if bfloat16_memories else float32_memories():
            scheduler = Scheduler(self.model, max_concurrent_shots, fill_holes_px=fill_holes_px)
            results = run(self.model, shots, direction, scheduler=scheduler)
            actual = [
                outputs_by_object(shot, shot_results)
                for shot, shot_results in zip(shots, results, strict=True)
            ]
            expected = [self.expected(shot, direction) for shot in shots]
        return sum(map(compare, actual, expected), Difference())

    def expected(
        self, shot: Shot, direction: Direction, *, bfloat16: bool = False
    ) -> dict[tuple[int, int], ObjectOutput]:
        with torch.inference_mode(), autocast(bfloat16=bfloat16):
            return self.official.track(shot, direction)


def make_pair(predictor: Any, architecture: Architecture = SAM2) -> Pair:
    """Make a pair; `Sam2` modifies its predictor, so it gets a copy."""
    model = Sam2(copy.deepcopy(predictor), architecture=architecture)
    return Pair(model, OfficialTracker(predictor))


def difference_without_copy(predictor: Any, shot: Shot, direction: Direction) -> Difference:
    """Compare as `Pair.difference` does; the predictor is used up, which saves memory."""
    with float32_memories():
        with torch.inference_mode():
            expected = OfficialTracker(predictor).track(shot, direction)
        results = run(Sam2(predictor), [shot], direction)[0]
        return compare(outputs_by_object(shot, results), expected)


def perturb(predictor: Any, presence: float = 3.0) -> Any:
    """Perturb each weight in place, so that results depend on each of them.

    As constructed, layers shrink their inputs, and biases, embeddings and layer scales are close to
    0, so a result would hardly depend on them, and least of all on memories. `presence` is added to
    the object score.
    """
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in predictor.parameters():
            spread = parameter.std().item() if parameter.dim() > 1 else 0.0
            scale = 1.5 * spread if spread > 1e-3 else 0.2
            parameter.add_(scale * torch.randn(parameter.shape, generator=generator))
        for name, parameter in predictor.memory_attention.named_parameters():
            if "cross_attn" in name and parameter.dim() > 1:
                parameter.mul_(2)
        *_, last_bias = predictor.sam_mask_decoder.pred_obj_score_head.parameters()
        last_bias.add_(presence)
    return predictor
