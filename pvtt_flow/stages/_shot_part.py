"""Part of a shot, to be tracked again from masks and boxes that are known."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing

from pvtt_flow.models.tracker import PromptedShot
from pvtt_flow.types import Frame, Masklet, Prompt

Read = Callable[[int, int | None], Generator[Frame]]
"""Reader of the frames at places `[start, stop)` of a shot."""


def shot_part(
    read: Read, start: int, stop: int, prompts: Mapping[int, Sequence[Prompt]]
) -> PromptedShot:
    """Return the places `[start, stop)` of a shot as a shot of their own.

    `prompts` are by place in the whole shot; their frames are read here.
    """
    places = sorted(prompts)
    return PromptedShot(
        read=lambda low, high: read(start + low, stop if high is None else min(start + high, stop)),
        prompts={place - start: prompts[place] for place in places},
        prompt_frames={place - start: frame_at(read, place) for place in places},
    )


def frame_at(read: Read, place: int) -> Frame:
    """Read one frame of a shot."""
    with closing(read(place, place + 1)) as frames:
        return next(frames)


def mask_prompt(masklet: Masklet, place: int) -> Prompt:
    """Return the mask at a place as a prompt."""
    frame = masklet.frames[place]
    return Prompt(object_id=masklet.object_id, frame_index=frame.frame_index, mask_rle=frame.rle)
