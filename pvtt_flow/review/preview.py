"""An overlay mp4 of one video: what the tracker saw, to be watched."""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pvtt_flow.review.overlay import objects_on, paint
from pvtt_flow.types import Frame, Masklet
from pvtt_flow.video.encode import write_mp4

# Below this labels cover the objects; above it the file is large for no gain on a screen.
_SHORT_SIDE_PX = (360, 1080)


def write_preview(
    path: Path, frames: Iterable[Frame], masklets: Sequence[Masklet], fps: Fraction
) -> int:
    """Writes the frames with the masklets painted on, matched by frame index; their number.

    Frames are taken one at a time. Raises ValueError for no frames, and for masklets of another
    picture size.
    """
    return write_mp4(path, _painted(frames, masklets), fps)


def _painted(frames: Iterable[Frame], masklets: Sequence[Masklet]) -> Iterator[NDArray[np.uint8]]:
    low_px, high_px = _SHORT_SIDE_PX
    for frame in frames:
        short_px = min(frame.rgb.shape[:2])
        scale = min(max(short_px, low_px), high_px) / short_px
        yield paint(frame.rgb, objects_on(masklets, frame.frame_index), scale=scale)
