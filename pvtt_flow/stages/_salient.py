"""Compare the masks of a shot with what is salient in its pictures."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

from pvtt_flow.core import rle
from pvtt_flow.core.salient import salient_iou
from pvtt_flow.models.salient import SalientModel
from pvtt_flow.stages._shot_part import Read
from pvtt_flow.types import Masklet


def with_salient_iou(
    masklets: Sequence[Masklet], read: Read, model: SalientModel, every: int
) -> tuple[Masklet, ...]:
    """Return the masklets of a shot with the overlap of masks and of what is salient.

    Pictures are read once more and looked at on each `every`th processed frame with a mask, and on
    prompted ones. Raises what `read` and the model raise.
    """
    places = {
        place
        for m in masklets
        for place, frame in enumerate(m.frames)
        if frame.rle is not None and (place % every == 0 or "prompted" in frame.flags)
    }
    if not places:
        return tuple(masklets)
    frames = [list(m.frames) for m in masklets]
    start = min(places)
    with closing(read(start, max(places) + 1)) as pictures:
        for place, picture in enumerate(pictures, start):
            if place not in places:
                continue
            salient = model.find(picture.rgb)
            masks = {
                number: rle.decode(counts, *picture.rgb.shape[:2])
                for number, own in enumerate(frames)
                if (counts := own[place].rle) is not None
            }
            for number, mask in masks.items():
                others = [other for n, other in masks.items() if n != number]
                found = salient_iou(mask, others, salient)
                frames[number][place] = replace(frames[number][place], salient_iou=found)
    return tuple(replace(m, frames=tuple(own)) for m, own in zip(masklets, frames, strict=True))
