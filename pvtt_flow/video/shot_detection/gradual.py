"""Dissolves and fades: transitions whose pictures are mixtures of the one before and the one after.

In a dissolve each picture is `(1 - a) before + a after`, with `a` going from 0 to 1, so that it
lies on the line between the two; and where two pictures are laid over each other the detail of
both fades, to half of its energy in the middle. Movement has neither: in a pan the picture in the
middle is another one, as sharp as the rest. (The mixture model is that of Lienhart, "Reliable
Transition Detection in Videos", 2001, who also looks for the dip in contrast.) A fade is a dissolve
to or from a plain picture.
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
# Half windows, in steps: what fits in the widest takes two seconds.
_REACHES = (3, 5, 8, 12, 16)
# Small enough that what moves in either scene hardly counts.
_SIDE_PX = 24
# Squared levels a pixel, so that noise is neither a change nor detail.
_NOISE, _NOISE_DETAIL = 50.0, 0.5

_MIN_CHANGE = 0.3
"""Squared difference of before and after over their variances: 1 for unrelated scenes."""
_MAX_OFF_LINE = 0.3
"""Distance from the line over its length; a pan has 0.45 or more."""
_MAX_DETAIL = 0.78
"""In the middle, over what the ends have; 0.5 in a dissolve of two still scenes."""
_MAX_STEP = 0.45
"""Of `a` from one step to the next; a cut takes it at once."""
_AT_REST = 0.4
"""Of the speed of `a` in the middle: below this the transition is over."""
_MIN_STEPS = 3
_PLAIN = 0.1
"""Of the other end's detail: below this, an end is a plain picture."""
_BLACK = 16.0
"""Mean level: darker than this is no scene."""
_MIN_CHANGE_OF_SCENE = 0.9
"""Novelty of the richer end beside the other; 1 or more for scenes that share nothing, and up to
0.85 where lights go down until there is little but grain."""
_MIN_NOVELTY = 0.25
"""Of the middle against both ends; 0.6 for a mixture of still scenes."""


@dataclass(frozen=True, slots=True)
class _Sample:
    frame_index: int
    colours: NDArray[np.float32]
    """float32 (N,), a tiny picture."""
    detail: float
    """Mean squared gradient."""
    picture: Bgr


@dataclass(slots=True)
class GradualTransitionDetector:
    """Takes the frames of a video in order; holds two seconds of tiny pictures."""

    found: list[Interval] = field(default_factory=list)
    """From the first mixed frame to the first that is all new; they overlap."""
    _due_ns: int | None = None
    _samples: deque[_Sample] = field(default_factory=lambda: deque(maxlen=2 * _REACHES[-1] + 1))

    def add(self, frame_index: int, pts_ns: int, picture: Bgr) -> None:
        """The next frame."""
        if self._due_ns is not None and pts_ns < self._due_ns:
            return
        self._due_ns = pts_ns + _STEP_NS - 1
        self._samples.append(_sample(frame_index, picture))
        for reach in _REACHES:
            width = 2 * reach + 1
            if len(self._samples) >= width:
                window = list(islice(self._samples, len(self._samples) - width, None))
                transition = _transition(window)
                if transition is not None:
                    self.found.append(transition)

    def cuts(self) -> list[int]:
        """The first frame after each transition."""
        groups: list[list[int]] = []
        for start, stop in sorted(self.found):
            if groups and start <= max(groups[-1]):
                groups[-1].append(stop)
            else:
                groups.append([stop])
        # The latest fifth are of wide windows, which take what the new scene does for a part of it.
        return [sorted(stops)[-1 - len(stops) // 5] for stops in groups]


def _sample(frame_index: int, picture: Bgr) -> _Sample:
    tiny = cv2.resize(picture, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA)
    grey = cv2.GaussianBlur(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), (3, 3), 0).astype(np.float32)
    gradients = np.diff(grey, axis=0), np.diff(grey, axis=1)
    detail = sum(float(np.square(gradient).mean()) for gradient in gradients)
    return _Sample(frame_index, tiny.astype(np.float32).ravel(), detail + _NOISE_DETAIL, picture)


def _transition(window: list[_Sample]) -> Interval | None:
    """The frames of the transition that the window shows from before to after, if it does."""
    before, middle, after = window[0], window[len(window) // 2], window[-1]
    line = after.colours - before.colours
    length2 = float(line @ line)
    spread = float(before.colours.var() + after.colours.var()) + _NOISE
    if length2 < _MIN_CHANGE * spread * line.size:
        return None
    share = float((middle.colours - before.colours) @ line) / length2
    faded = middle.detail / ((1 - share) * before.detail + share * after.detail)
    if not (0.25 < share < 0.75 and faded < _MAX_DETAIL):
        return None
    away = np.stack([sample.colours for sample in window]) - before.colours
    shares = away @ line / length2
    mixed = (shares > 0.15) & (shares < 0.85)
    off_line = np.linalg.norm(away - shares[:, None] * line, axis=1) / np.sqrt(length2)
    is_gradual = np.count_nonzero(mixed) >= 2 and np.abs(np.diff(shares)).max() < _MAX_STEP
    if not (is_gradual and off_line[mixed].mean() < _MAX_OFF_LINE):
        return None
    return _mixed_part(window, np.diff(shares))


def _mixed_part(window: list[_Sample], steps: NDArray[np.float32]) -> Interval | None:
    """From the centre to where `a` no longer moves: what moves on is the scene itself.

    Only a window that is wider than the transition tells where it ends; one within it says less.
    """
    centre = len(steps) // 2
    at_rest = steps < _AT_REST * steps[centre - 1 : centre + 1].mean()
    start = 1 + int(np.flatnonzero(at_rest[:centre])[-1]) if at_rest[:centre].any() else 0
    stop = centre + int(np.flatnonzero([*at_rest[centre:], True])[0])
    first, middle, last = window[start], window[centre], window[stop]
    if stop - start < _MIN_STEPS or not _is_mixed(first, middle, last):
        return None
    return first.frame_index, last.frame_index


def _is_mixed(first: _Sample, middle: _Sample, last: _Sample) -> bool:
    """Whether one scene becomes another, by way of what is neither of them moved on.

    A scene where lights go down is still itself, if faintly; out of black anything may come.
    """
    plain, rich = sorted((first, last), key=lambda sample: sample.detail)
    is_plain = plain.detail < _PLAIN * rich.detail
    if is_plain and float(plain.colours.mean()) < _BLACK:
        return True
    if motion_compensated_residual(plain.picture, rich.picture) < _MIN_CHANGE_OF_SCENE:
        return False
    # A picture that fades to a plain one keeps its detail on the way.
    ends = () if is_plain else (first, last)
    return all(
        motion_compensated_residual(end.picture, middle.picture) > _MIN_NOVELTY for end in ends
    )
