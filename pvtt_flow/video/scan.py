"""Scan all frames of a video once: count them, record their times and detect cuts."""

from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from pvtt_flow.core.timeline import NS_PER_S
from pvtt_flow.types import Video
from pvtt_flow.video.clock import stored_ns
from pvtt_flow.video.container import open_container
from pvtt_flow.video.decode import TruncatedVideoError, decode_frames
from pvtt_flow.video.limits import DEFAULT_LIMITS, NO_TIMER, FrameTimer, Limits
from pvtt_flow.video.shot_detection.block_matching import Bgr
from pvtt_flow.video.shot_detection.detector import CutDetector

# Longer side: PySceneDetect's thresholds are made for this size, and it is fast to compare.
_THUMBNAIL_PX = 128
_MIN_SIDE_PX = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoScan:
    """Facts about a video's frames that only decoding all of them tells."""

    times_ns: tuple[int, ...]
    """Presentation time of every frame that decodes, by its index; at least one."""
    end_ns: int
    """End of the last frame, which lasts 1 / fps."""
    cuts: tuple[int, ...]
    """Index of the first frame of each shot except the first shot, ascending."""
    seekable: bool
    """True if each frame is at its timestamp in the file, by which a seek finds it."""
    truncation: TruncatedVideoError | None
    """Error that ended decoding early; None for a video that decodes to its end."""


def scan_video(
    file: BinaryIO,
    *,
    video: Video,
    detect_cuts: bool = True,
    limits: Limits = DEFAULT_LIMITS,
    timer: FrameTimer = NO_TIMER,
) -> VideoScan:
    """Decode every frame of the video; with `detect_cuts`, compare thumbnails for cuts.

    `video` is what `probe` has returned. Raises what `read_frames` raises, except
    TruncatedVideoError, which becomes `VideoScan.truncation`.
    """
    times_ns: list[int] = []
    detector = CutDetector() if detect_cuts else None
    downscale = _Downscaler(video)
    truncation: TruncatedVideoError | None = None
    seekable = True
    size_px = (video.coded_width_px, video.coded_height_px)
    with open_container(file, limits, timer) as opened:
        try:
            for decoded in decode_frames(opened, limits, size_px=size_px):
                times_ns.append(decoded.pts_ns)
                seekable = seekable and decoded.pts_ns == stored_ns(decoded.av_frame)
                if detector is not None:
                    thumbnail = downscale(decoded.av_frame)
                    detector.add(decoded.frame_index, decoded.pts_ns, thumbnail)
        except TruncatedVideoError as error:
            truncation = error
    frame_ns = int(Fraction(video.fps_den * NS_PER_S, video.fps_num)) if video.fps_num else 1
    return VideoScan(
        times_ns=tuple(times_ns),
        end_ns=times_ns[-1] + frame_ns,
        cuts=() if detector is None else tuple(detector.cuts()),
        seekable=seekable,
        truncation=truncation,
    )


class _Downscaler:
    """Converter to thumbnails; FFmpeg prepares its tables for the first frame only."""

    def __init__(self, video: Video) -> None:
        scale = _THUMBNAIL_PX / max(video.coded_width_px, video.coded_height_px)
        self._width_px = max(_MIN_SIDE_PX, round(video.coded_width_px * scale))
        self._height_px = max(_MIN_SIDE_PX, round(video.coded_height_px * scale))
        self._reformatter = VideoReformatter()

    def __call__(self, av_frame: VideoFrame) -> Bgr:
        """Return a thumbnail, uint8 (H, W, 3) BGR, in coded orientation."""
        thumbnail = self._reformatter.reformat(
            av_frame,
            width=self._width_px,
            height=self._height_px,
            format="bgr24",
            interpolation=Interpolation.AREA,
        )
        return np.asarray(thumbnail.to_ndarray(), np.uint8)
