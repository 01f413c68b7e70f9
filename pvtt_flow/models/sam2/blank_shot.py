"""Blank shot: what a tracker is tried and warmed up with."""

from collections.abc import Iterator
from itertools import islice

import numpy as np

from pvtt_flow.models.tracker import PromptedShot
from pvtt_flow.types import Frame, Prompt

_SIDE_PX = 64


def blank_shot(num_frames: int, num_objects: int = 1) -> PromptedShot:
    """Make a shot of black frames with boxes on the first one."""
    rgb = np.zeros((_SIDE_PX, _SIDE_PX, 3), np.uint8)
    frames = [Frame(index, index, rgb) for index in range(num_frames)]

    def read(start: int, stop: int | None) -> Iterator[Frame]:
        return islice(iter(frames), start, stop)

    third = _SIDE_PX / 3
    box = (third, third, 2 * third, 2 * third)
    prompts = [Prompt(object_id=i, frame_index=0, box_xyxy=box) for i in range(num_objects)]
    return PromptedShot(read=read, prompts={0: prompts}, prompt_frames={0: frames[0]})
