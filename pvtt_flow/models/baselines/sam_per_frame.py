"""SAM per frame as a propagator: each frame is an image, prompted with the box of the mask before.

There is no memory of how an object looks. An object that is lost has no box, and stays lost until
its next given mask.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pvtt_flow.core import rle
from pvtt_flow.models.baselines.one_frame import track_one_frame
from pvtt_flow.models.tracker import Tracker
from pvtt_flow.types import Frame, Prompt


class SamPerFrame:
    """Latest masks of the objects of a pass."""

    def __init__(self, segmenter: Tracker) -> None:
        self._segmenter = segmenter
        self._masks: dict[int, NDArray[np.bool_]] = {}

    def step(
        self, frame: NDArray[np.uint8], masks: Mapping[int, NDArray[np.bool_]]
    ) -> Mapping[int, NDArray[np.float32]]:
        """Return 1 where an object is and 0 elsewhere, float32 (H, W), by object id."""
        boxes = {i: rle.box_of(mask) for i, mask in self._masks.items() if i not in masks}
        prompts = [
            Prompt(object_id=i, frame_index=0, box_xyxy=box) for i, box in boxes.items() if box
        ]
        found = track_one_frame(self._segmenter, Frame(0, 0, frame), prompts)
        self._masks |= {each.object_id: each.mask for each in found} | dict(masks)
        return {i: mask.astype(np.float32) for i, mask in self._masks.items()}
