"""Track the objects of a shot back from their last masks, to compare both passes.

Forward-backward consistency, after Kalal, Mikolajczyk and Matas, "Forward-backward error: automatic
detection of tracking failures", 2010, with masks instead of points.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pvtt_flow.core import rle
from pvtt_flow.models.tracker import Tracker
from pvtt_flow.stages._shot_part import Read, mask_prompt, shot_part
from pvtt_flow.types import Masklet, MaskletFrame, Prompt


@dataclass(frozen=True, slots=True)
class _Span:
    """Places of an object's first prompted mask and of its last mask."""

    first: int
    last: int


def with_backward_iou(
    masklets: Sequence[Masklet], tracker: Tracker, read: Read
) -> tuple[Masklet, ...]:
    """Return the masklets of a shot with the overlap of their masks and those of a backward pass.

    The tracker must go both ways from a prompt. Raises what it and `read` raise.
    """
    spans = {m.object_id: span for m in masklets if (span := _span_of(m)) is not None}
    if not spans:
        return tuple(masklets)
    start = min(span.first for span in spans.values())
    stop = max(span.last for span in spans.values()) + 1
    prompts: dict[int, list[Prompt]] = {}
    for m in masklets:
        if m.object_id in spans:
            last = spans[m.object_id].last
            prompts.setdefault(last, []).append(mask_prompt(m, last))
    shot = shot_part(read, start, stop, prompts)
    found = {
        (tracked.object_id, frame.frame_index): rle.encode(tracked.mask)
        for frame in tracker.track(shot)
        for tracked in frame.objects
    }
    return tuple(
        replace(m, frames=_compared(m, spans[m.object_id], found)) if m.object_id in spans else m
        for m in masklets
    )


def _span_of(masklet: Masklet) -> _Span | None:
    """Return the span of an object; None if there is nothing before its last mask."""
    shown = [place for place, frame in enumerate(masklet.frames) if frame.rle is not None]
    prompted = [place for place in shown if "prompted" in masklet.frames[place].flags]
    if not prompted or shown[-1] <= prompted[0]:
        return None
    return _Span(prompted[0], shown[-1])


def _compared(
    masklet: Masklet, span: _Span, found: dict[tuple[int, int], str]
) -> tuple[MaskletFrame, ...]:
    """Return the frames with the overlap of both passes, from the prompt to the last mask."""

    def overlap(frame: MaskletFrame) -> float:
        other = found.get((masklet.object_id, frame.frame_index))
        return rle.iou(frame.rle, other, masklet.height_px, masklet.width_px)

    return tuple(
        replace(frame, backward_iou=overlap(frame))
        if span.first <= place < span.last and frame.rle is not None
        else frame
        for place, frame in enumerate(masklet.frames)
    )
