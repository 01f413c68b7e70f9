"""Masklet as something that has a mask on each frame of its shot."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pvtt_flow.core import rle
from pvtt_flow.errors import ConfigError
from pvtt_flow.evaluate.measures import Mask
from pvtt_flow.types import Masklet


@dataclass(frozen=True)
class Track:
    """Masklet, with its stored masks by frame of the video."""

    masklet: Masklet

    @cached_property
    def _rles(self) -> dict[int, str | None]:
        return {frame.frame_index: frame.rle for frame in self.masklet.frames}

    def covers(self, frame_index: int) -> bool:
        """Return whether a frame is in the masklet's shot."""
        return self.masklet.start_frame <= frame_index < self.masklet.stop_frame

    def skips(self, frame_index: int) -> bool:
        """Return whether a frame is in the shot, but sampling did not take it."""
        return self.covers(frame_index) and frame_index not in self._rles

    def mask(self, frame_index: int, size_px: tuple[int, int]) -> Mask:
        """Return the mask (H, W) on a frame, empty where there is none.

        Raises ConfigError if an annotated picture of this height and width is not of the video.
        """
        height_px, width_px = self.masklet.height_px, self.masklet.width_px
        if size_px != (height_px, width_px):
            raise ConfigError(
                f"{self.masklet.video_id}: annotated pictures must have the video's size, "
                f"{width_px} x {height_px}, got {size_px[1]} x {size_px[0]}; annotate or process "
                "the same pictures"
            )
        counts = self._rles.get(frame_index)
        if counts is None:
            return np.zeros(size_px, np.bool_)
        return rle.decode(counts, height_px, width_px)


def tracks_of(masklets: Iterable[Masklet]) -> list[Track]:
    """Return the tracks of a video's masklets, by shot and object."""
    ordered = sorted(masklets, key=lambda masklet: (masklet.shot_index, masklet.object_id))
    return [Track(masklet) for masklet in ordered]
