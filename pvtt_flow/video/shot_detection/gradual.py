"""Detect dissolves and fades: transitions whose frames mix the scene before with the one after.

In a dissolve each frame is `(1 - a) before + a after`, where the mix `a` grows from 0 to 1. The
frame lies on the line between the two scenes, and the detail of both fades, to half of its energy
in the middle. Motion does neither: in a pan the frame in the middle is a different image, as sharp
as the rest. (The mixture model is that of Lienhart, "Reliable Transition Detection in Videos",
2001, who also looks for the dip in contrast.) A fade is a dissolve to or from a plain image.
"""

from collections import deque
from dataclasses import dataclass, field
from itertools import islice

import cv2
import numpy as np
from numpy.typing import NDArray

from pvtt_flow.core.shots import Interval
from pvtt_flow.core.timeline import NS_PER_S
from pvtt_flow.video.shot_detection.block_matching import Bgr, motion_compensated_residual

# Often enough for a dissolve of a fifth of a second.
_STEP_NS = NS_PER_S // 15
# Half of each window, in steps: what fits in the widest takes two seconds.
_HALF_WINDOWS = (3, 5, 8, 12, 16)
# Small enough that motion within a scene hardly counts.
_SIDE_PX = 24
# Squared levels per pixel, so that noise is neither a change nor detail.
_NOISE, _NOISE_DETAIL = 50.0, 0.5

# Squared difference of before and after over their variances: 1 for unrelated scenes.
_MIN_CHANGE = 0.3
# Distance from the line over its length; a pan has 0.45 or more.
_MAX_OFF_LINE = 0.3
# Detail in the middle over the mixed detail of the ends; 0.5 in a dissolve of two still scenes.
_MAX_DETAIL = 0.78
# Change of the mix from one step to the next; a hard cut changes it by 1.
_MAX_MIX_STEP = 0.45
# Share of the mix's speed in the middle, below which the transition is over.
_AT_REST = 0.4
_MIN_STEPS = 3
# Share of the other end's detail, below which an end is a plain image.
_PLAIN = 0.1
# Mean level below which an image is too dark to show a scene.
_BLACK = 16.0
# Residual of the more detailed end against the other. Scenes that share nothing have 1 or more; a
# scene whose lights go down until little but grain is left has up to 0.85.
_MIN_RESIDUAL_OF_ENDS = 0.9
# Residual of the middle against either end; 0.6 for a mixture of still scenes.
_MIN_RESIDUAL_OF_MIDDLE = 0.25


@dataclass(frozen=True, slots=True)
class _Sample:
    frame_index: int
    pixels: NDArray[np.float32]
    """float32 (N,), a tiny image, flattened."""
    detail: float
    """Mean squared gradient."""
    thumbnail: Bgr


@dataclass(slots=True)
class GradualTransitionDetector:
    """Detector fed with the frames of a video in order; holds two seconds of thumbnails."""

    transitions: list[Interval] = field(default_factory=list)
    """Intervals from the first mixed frame to the first one of the new scene; they overlap."""
    _due_ns: int | None = None
    _samples: deque[_Sample] = field(
        default_factory=lambda: deque(maxlen=2 * _HALF_WINDOWS[-1] + 1)
    )

    def add(self, frame_index: int, pts_ns: int, thumbnail: Bgr) -> None:
        """Add the next frame; skips frames less than a step after the previous sample."""
        if self._due_ns is not None and pts_ns < self._due_ns:
            return
        self._due_ns = pts_ns + _STEP_NS - 1
        self._samples.append(_make_sample(frame_index, thumbnail))
        for half_width in _HALF_WINDOWS:
            width = 2 * half_width + 1
            if len(self._samples) >= width:
                window = list(islice(self._samples, len(self._samples) - width, None))
                transition = _find_transition(window)
                if transition is not None:
                    self.transitions.append(transition)

    def cuts(self) -> list[int]:
        """Return the first frame after each transition."""
        groups: list[list[int]] = []
        for start, stop in sorted(self.transitions):
            if groups and start <= max(groups[-1]):
                groups[-1].append(stop)
            else:
                groups.append([stop])
        # The latest fifth come from wide windows, which count motion in the new scene as a part of
        # the transition.
        return [sorted(stops)[-1 - len(stops) // 5] for stops in groups]


def _make_sample(frame_index: int, thumbnail: Bgr) -> _Sample:
    tiny = cv2.resize(thumbnail, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA)
    gray = cv2.cvtColor(thumbnail, cv2.COLOR_BGR2GRAY)
    smooth = cv2.GaussianBlur(gray, (3, 3), 0).astype(np.float32)
    gradients = np.diff(smooth, axis=0), np.diff(smooth, axis=1)
    detail = sum(float(np.square(gradient).mean()) for gradient in gradients)
    return _Sample(frame_index, tiny.astype(np.float32).ravel(), detail + _NOISE_DETAIL, thumbnail)


def _find_transition(window: list[_Sample]) -> Interval | None:
    """Return the frames of the transition in the middle of the window; None if there is none."""
    before, middle, after = window[0], window[len(window) // 2], window[-1]
    line = after.pixels - before.pixels
    length2 = float(line @ line)
    spread = float(before.pixels.var() + after.pixels.var()) + _NOISE
    if length2 < _MIN_CHANGE * spread * line.size:
        return None
    mix = float((middle.pixels - before.pixels) @ line) / length2
    faded = middle.detail / ((1 - mix) * before.detail + mix * after.detail)
    if not (0.25 < mix < 0.75 and faded < _MAX_DETAIL):
        return None
    offsets = np.stack([sample.pixels for sample in window]) - before.pixels
    mixes = offsets @ line / length2
    is_mixed = (mixes > 0.15) & (mixes < 0.85)
    off_line = np.linalg.norm(offsets - mixes[:, None] * line, axis=1) / np.sqrt(length2)
    is_gradual = np.count_nonzero(is_mixed) >= 2 and np.abs(np.diff(mixes)).max() < _MAX_MIX_STEP
    if not (is_gradual and off_line[is_mixed].mean() < _MAX_OFF_LINE):
        return None
    return _mixed_interval(window, np.diff(mixes))


def _mixed_interval(window: list[_Sample], mix_steps: NDArray[np.float32]) -> Interval | None:
    """Return the frames around the center where the mix changes; None if they are not a transition.

    Beyond them only the scene itself moves. A window must be wider than the transition to show
    where it ends.
    """
    center = len(mix_steps) // 2
    at_rest = mix_steps < _AT_REST * mix_steps[center - 1 : center + 1].mean()
    start = 1 + int(np.flatnonzero(at_rest[:center])[-1]) if at_rest[:center].any() else 0
    stop = center + int(np.flatnonzero([*at_rest[center:], True])[0])
    first, middle, last = window[start], window[center], window[stop]
    if stop - start < _MIN_STEPS or not _joins_two_scenes(first, middle, last):
        return None
    return first.frame_index, last.frame_index


def _joins_two_scenes(first: _Sample, middle: _Sample, last: _Sample) -> bool:
    """Return whether `first` and `last` are different scenes, not linked by motion.

    A scene whose lights go down remains visible, if faintly, so it is not a new scene. After black
    any scene is new.
    """
    plain, detailed = sorted((first, last), key=lambda sample: sample.detail)
    is_plain = plain.detail < _PLAIN * detailed.detail
    if is_plain and float(plain.pixels.mean()) < _BLACK:
        return True
    if motion_compensated_residual(plain.thumbnail, detailed.thumbnail) < _MIN_RESIDUAL_OF_ENDS:
        return False
    # An image that fades to a plain one keeps its detail on the way.
    ends = () if is_plain else (first, last)
    return all(
        motion_compensated_residual(end.thumbnail, middle.thumbnail) > _MIN_RESIDUAL_OF_MIDDLE
        for end in ends
    )
