"""One pass over all frames of a video: how many there are, when each is shown, where cuts are."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO

import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from pvtt_flow.core.timeline import NS_PER_S
from pvtt_flow.types import Video
from pvtt_flow.video.container import open_container
from pvtt_flow.video.decoded import DecodeBreakError, DecodedFrame, decode_frames
from pvtt_flow.video.limits import DEFAULT_LIMITS, Limits
from pvtt_flow.video.shot_detection.block_matching import Bgr
from pvtt_flow.video.shot_detection.detector import CutDetector

# Of the longer side: what PySceneDetect's thresholds are for, and quick to compare.
_SMALL_PX = 128
_MIN_PX = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoScan:
    """What is true of a video's frames, since each has been decoded."""

    times_ns: tuple[int, ...]
    """Presentation time of every frame that decodes, by its index; at least one."""
    end_ns: int
    """When the last one ends: it lasts 1/fps."""
    cuts: tuple[int, ...]
    """The first frame of each shot but the first, ascending."""
    broken: DecodeBreakError | None
    """Why there are no more frames, for a video that breaks in the middle."""


def scan_video(
    file: BinaryIO, *, video: Video, detect_cuts: bool = True, limits: Limits = DEFAULT_LIMITS
) -> VideoScan:
    """Decodes the whole video, at the size that it has; looks at small pictures for cuts.

    Raises what `read_frames` raises, but for a break after good frames, which is told.
    """
    times_ns: list[int] = []
    finder = CutDetector() if detect_cuts else None
    shrink = _Shrink(video)
    broken: DecodeBreakError | None = None
    with open_container(file, limits) as opened:
        size_px = (video.coded_width_px, video.coded_height_px)
        frames: Iterator[DecodedFrame] = decode_frames(opened, limits, size_px=size_px)
        try:
            for coded in frames:
                times_ns.append(coded.pts_ns)
                if finder is not None:
                    finder.add(coded.frame_index, coded.pts_ns, shrink(coded))
        except DecodeBreakError as error:
            broken = error
    frame_ns = int(Fraction(video.fps_den * NS_PER_S, video.fps_num)) if video.fps_num else 1
    return VideoScan(
        times_ns=tuple(times_ns),
        end_ns=times_ns[-1] + frame_ns,
        cuts=() if finder is None else tuple(finder.cuts()),
        broken=broken,
    )


class _Shrink:
    """Small pictures; one for all frames, since FFmpeg prepares much for the first."""

    def __init__(self, video: Video) -> None:
        scale = _SMALL_PX / max(video.coded_width_px, video.coded_height_px)
        self._width_px = max(_MIN_PX, round(video.coded_width_px * scale))
        self._height_px = max(_MIN_PX, round(video.coded_height_px * scale))
        self._reformatter = VideoReformatter()

    def __call__(self, coded: DecodedFrame) -> Bgr:
        """uint8 (H, W, 3) BGR, as it was coded, not turned."""
        small = self._reformatter.reformat(
            coded.picture,
            width=self._width_px,
            height=self._height_px,
            format="bgr24",
            interpolation=Interpolation.AREA,
        )
        return np.asarray(small.to_ndarray(), np.uint8)
