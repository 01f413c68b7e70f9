"""How far the engine's sights are from the official ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, isnan

import torch

from pvtt_flow.models.sam2.mask_output import Masks
from pvtt_flow.models.sam2.scheduler import Seen
from tests.models.sam2.official import Reference
from tests.models.sam2.shots import Shot

# In float32: the sums are arranged otherwise, so their last bits differ.
MAX_LOGIT = 1e-4
MAX_PIXEL_SHARE = 1e-5
_ABSENT_LOGIT = -1024.0


@dataclass(frozen=True)
class Difference:
    """Largest differences over every object and frame of a shot, or of several."""

    logit: float = 0.0
    score: float = 0.0
    iou: float = 0.0
    pixels: int = 0
    of_pixels: int = 0
    sights: int = 0
    absent: int = 0
    """Sights of no object."""

    def __add__(self, other: "Difference") -> "Difference":
        return Difference(
            logit=max(self.logit, other.logit),
            score=max(self.score, other.score),
            iou=max(self.iou, other.iou),
            pixels=self.pixels + other.pixels,
            of_pixels=self.of_pixels + other.of_pixels,
            sights=self.sights + other.sights,
            absent=self.absent + other.absent,
        )

    def check(self, max_logit: float = MAX_LOGIT) -> "Difference":
        assert self.sights
        assert max(self.logit, self.score, self.iou) <= max_logit, self
        assert self.pixels <= ceil(MAX_PIXEL_SHARE * self.of_pixels), self
        return self


def sights(shot: Shot, seen: Sequence[Seen]) -> dict[tuple[int, int], Reference]:
    """The engine's sights in the form of the official ones, by (object id, position)."""
    positions = {frame.frame_index: position for position, frame in enumerate(shot.frames)}
    found: dict[tuple[int, int], Reference] = {}
    for frame in seen:
        position = positions[frame.frame_index]
        assert frame.pts_ns == shot.frames[position].pts_ns
        masks = Masks(frame.logits, shot.display_px).read()
        for i, (object_id, mask) in enumerate(zip(frame.object_ids, masks, strict=True)):
            assert (object_id, position) not in found, "no object comes twice on one frame"
            found[object_id, position] = Reference(
                logits=frame.logits[i],
                mask=torch.from_numpy(mask),
                score=frame.scores[i].item(),
                iou=frame.ious[i].item(),
            )
    return found


def compare(
    found: Mapping[tuple[int, int], Reference], expected: Mapping[tuple[int, int], Reference]
) -> Difference:
    assert set(found) == set(expected)
    return sum((_difference(found[key], expected[key]) for key in expected), Difference())


def _difference(found: Reference, expected: Reference) -> Difference:
    assert isnan(found.iou) == isnan(expected.iou)
    assert (found.score > 0) == (expected.score > 0)
    absent = expected.score <= 0
    if absent and not isnan(expected.iou):
        assert (found.logits == _ABSENT_LOGIT).all()
    return Difference(
        logit=(found.logits - expected.logits).abs().max().item(),
        score=abs(found.score - expected.score),
        iou=0.0 if isnan(found.iou) else abs(found.iou - expected.iou),
        pixels=int((found.mask != expected.mask).sum()),
        of_pixels=expected.mask.numel(),
        sights=1,
        absent=int(absent),
    )
