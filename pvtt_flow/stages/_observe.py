"""Measure the appearance of tracked objects, in the pictures of their shot."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

from pvtt_flow.core.appearance import MeasureParams, Observer, Sight
from pvtt_flow.stages._shot_part import Read, frame_at
from pvtt_flow.types import Masklet


def observed(
    masklets: Sequence[Masklet],
    read: Read,
    params: MeasureParams,
    span: tuple[int, int | None] = (0, None),
) -> tuple[Masklet, ...]:
    """Return the masklets of a shot with the appearance of their objects, at places of a span.

    Reads the shot once more, from the first mask in it to the last one. Raises what `read` raises.
    """
    shown = [
        place
        for m in masklets
        for place in range(*slice(*span).indices(len(m.frames)))
        if m.frames[place].rle is not None
    ]
    if not params.appearance or not shown:
        return tuple(masklets)
    observers = [Observer(_reference(m, read), flow=params.flow) for m in masklets]
    frames = [list(m.frames) for m in masklets]
    start, stop = min(shown), max(shown) + 1
    with closing(read(start, stop)) as pictures:
        for place, picture in enumerate(pictures, start):
            for observer, own in zip(observers, frames, strict=True):
                look = observer.look(Sight.of(picture.rgb, own[place]))
                own[place] = replace(own[place], appearance=look)
    return tuple(replace(m, frames=tuple(own)) for m, own in zip(masklets, frames, strict=True))


def _reference(masklet: Masklet, read: Read) -> Sight | None:
    """Return the object on its first prompted frame; None without a mask there."""
    prompted = (place for place, f in enumerate(masklet.frames) if "prompted" in f.flags)
    place = next(prompted, None)
    if place is None or masklet.frames[place].rle is None:
        return None
    return Sight.of(frame_at(read, place).rgb, masklet.frames[place])
