"""Differences between results of the scheduler and of the official predictor."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, isnan

import torch

from pvtt_flow.models.sam2.mask_output import PendingMasks
from pvtt_flow.models.sam2.scheduler import FrameResult
from tests.models.sam2.official import ObjectOutput
from tests.models.sam2.shots import Shot

# In float32: terms are summed in another order, so the last bits differ.
MAX_LOGIT = 1e-4
MAX_PIXEL_SHARE = 1e-5
_ABSENT_LOGIT = -1024.0


@dataclass(frozen=True)
class Difference:
    """Largest differences over the objects and frames of one or several shots."""

    logit: float = 0.0
    score: float = 0.0
    iou: float = 0.0
    differing_pixels: int = 0
    num_pixels: int = 0
    num_outputs: int = 0
    num_absent: int = 0
    """Outputs without an object."""

    def __add__(self, other: "Difference") -> "Difference":
        return Difference(
            logit=max(self.logit, other.logit),
            score=max(self.score, other.score),
            iou=max(self.iou, other.iou),
            differing_pixels=self.differing_pixels + other.differing_pixels,
            num_pixels=self.num_pixels + other.num_pixels,
            num_outputs=self.num_outputs + other.num_outputs,
            num_absent=self.num_absent + other.num_absent,
        )

    def check(self, max_logit: float = MAX_LOGIT) -> "Difference":
        assert self.num_outputs
        assert max(self.logit, self.score, self.iou) <= max_logit, self
        assert self.differing_pixels <= ceil(MAX_PIXEL_SHARE * self.num_pixels), self
        return self


def outputs_by_object(
    shot: Shot, results: Sequence[FrameResult]
) -> dict[tuple[int, int], ObjectOutput]:
    """Convert results to the form of the official ones, by (object id, position)."""
    positions = {frame.frame_index: position for position, frame in enumerate(shot.frames)}
    outputs: dict[tuple[int, int], ObjectOutput] = {}
    for result in results:
        position = positions[result.frame_index]
        assert result.pts_ns == shot.frames[position].pts_ns
        _, masks = PendingMasks(result.logits, (), shot.display_px).read()
        for i, (object_id, mask) in enumerate(zip(result.object_ids, masks, strict=True)):
            assert (object_id, position) not in outputs, "no object comes twice on one frame"
            outputs[object_id, position] = ObjectOutput(
                logits=result.logits[i],
                mask=torch.from_numpy(mask),
                score=result.object_scores[i].item(),
                iou=result.predicted_ious[i].item(),
            )
    return outputs


def compare(
    actual: Mapping[tuple[int, int], ObjectOutput],
    expected: Mapping[tuple[int, int], ObjectOutput],
) -> Difference:
    assert set(actual) == set(expected)
    return sum((_difference(actual[key], expected[key]) for key in expected), Difference())


def _difference(actual: ObjectOutput, expected: ObjectOutput) -> Difference:
    assert isnan(actual.iou) == isnan(expected.iou)
    assert (actual.score > 0) == (expected.score > 0)
    absent = expected.score <= 0
    if absent and not isnan(expected.iou):
        assert (actual.logits == _ABSENT_LOGIT).all()
    return Difference(
        logit=(actual.logits - expected.logits).abs().max().item(),
        score=abs(actual.score - expected.score),
        iou=0.0 if isnan(actual.iou) else abs(actual.iou - expected.iou),
        differing_pixels=int((actual.mask != expected.mask).sum()),
        num_pixels=expected.mask.numel(),
        num_outputs=1,
        num_absent=int(absent),
    )
