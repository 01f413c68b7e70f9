"""Frames from which an object is best cut out, by its stored rows."""

from collections.abc import Sequence

from pvtt_flow.types import MaskletFrame

# A cut-out must have at least this fraction of the largest area of the object.
_BEST_AREA, _DISTANT_AREA = 0.6, 0.2
# Least distance of the second one, as a fraction of the masklet's frames.
_DISTANCE = 1 / 3


def candidates(frames: Sequence[MaskletFrame], count: int) -> list[int]:
    """Return positions of at most `count` frames for the best cut-out, best first.

    The object is whole (it does not touch the border, unless it always does), large, and SAM 2 is
    sure of its mask. They are spread over different times: neighbors look alike.
    """
    visible = _visible(frames)
    largest = max((frames[position].area_px for position in visible), default=0)
    large = [p for p in visible if frames[p].area_px >= _BEST_AREA * largest]
    ranked = sorted(large, key=lambda p: (-_score(frames[p]), p))
    chosen: list[int] = []
    for position in ranked:
        apart = len(frames) / (2 * count)
        if all(abs(position - other) >= apart for other in chosen):
            chosen.append(position)
    return chosen[:count]


def distant_from(frames: Sequence[MaskletFrame], best: int) -> int | None:
    """Return the position of a good frame that is far from the best one in time, or None."""
    visible = _visible(frames)
    largest = max((frames[position].area_px for position in visible), default=0)
    far = [
        p
        for p in visible
        if abs(p - best) >= _DISTANCE * len(frames) and frames[p].area_px >= _DISTANT_AREA * largest
    ]
    return max(far, key=lambda p: (_score(frames[p]) * frames[p].area_px, -p), default=None)


def _visible(frames: Sequence[MaskletFrame]) -> list[int]:
    visible = [position for position, frame in enumerate(frames) if frame.rle is not None]
    whole = [position for position in visible if "border" not in frames[position].flags]
    return whole or visible


def _score(frame: MaskletFrame) -> float:
    """Return how good the mask looks: SAM 2's own prediction, less for one in pieces."""
    iou = 1.0 if frame.predicted_iou is None else frame.predicted_iou
    return iou / max(1, frame.fragments)
