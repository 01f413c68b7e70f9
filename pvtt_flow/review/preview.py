"""Preview of a video: an MP4 with overlaid masklets."""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pvtt_flow.review.overlay import objects_on, overlay
from pvtt_flow.types import Frame, Masklet
from pvtt_flow.video.encode import write_mp4

# Below the first, labels cover the objects; above the second, files grow without a gain on a
# screen.
_SHORT_SIDE_PX = (360, 1080)


def write_preview(
    path: Path, frames: Iterable[Frame], masklets: Sequence[Masklet], fps: Fraction
) -> int:
    """Write frames with their masklets overlaid, matched by frame index; return their number.

    One frame is in memory at a time. Raises ValueError if there are no frames, and for masklets of
    another picture size.
    """
    return write_mp4(path, _overlaid(frames, masklets), fps)


def _overlaid(frames: Iterable[Frame], masklets: Sequence[Masklet]) -> Iterator[NDArray[np.uint8]]:
    low_px, high_px = _SHORT_SIDE_PX
    for frame in frames:
        short_px = min(frame.rgb.shape[:2])
        scale = min(max(short_px, low_px), high_px) / short_px
        yield overlay(frame.rgb, objects_on(masklets, frame.frame_index), scale=scale)
