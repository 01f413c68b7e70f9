"""Detect shot boundaries: hard cuts, dissolves and fades."""

from collections import deque

from pvtt_flow.video.shot_detection.block_matching import Bgr, motion_compensated_residual
from pvtt_flow.video.shot_detection.gradual import GradualTransitionDetector

# PySceneDetect compares a frame's change with those of two frames on either side of it.
_WINDOW = 2
# Both low, since candidates are verified by block matching: a cut between two products on white
# changes little, and a cut in a shaky shot not much more than the camera shake.
_MIN_RATIO, _MIN_CHANGE = 1.5, 4.0
# Between the values measured for motion and for cuts; see `motion_compensated_residual`.
_MIN_RESIDUAL = 0.65
# Any value will do: PySceneDetect wants a rate, and only frame numbers are used.
_ANY_FPS = 25.0


class CutDetector:
    """Detector fed with the thumbnails of a video in order; memory does not grow with the video.

    PySceneDetect's AdaptiveDetector proposes hard cuts: frames that change more than their
    neighbors. Motion must not explain the change, neither across the frame itself nor across its
    neighbors, so that a flash is no cut. Its ThresholdDetector finds fades through a long black,
    which are longer than any window of `GradualTransitionDetector`.
    """

    def __init__(self) -> None:
        """Create a detector for one video."""
        # Importing takes half a second, which not every command needs.
        from scenedetect import AdaptiveDetector, FrameTimecode, ThresholdDetector

        self._hard_cuts = AdaptiveDetector(
            adaptive_threshold=_MIN_RATIO,
            min_scene_len=1,
            window_width=_WINDOW,
            min_content_val=_MIN_CHANGE,
        )
        self._black_fades = ThresholdDetector(min_scene_len=1, fade_bias=1.0)
        self._timecode = FrameTimecode
        self._gradual = GradualTransitionDetector()
        self._recent: deque[Bgr] = deque(maxlen=2 * _WINDOW + 1)
        self._num_fed = 0
        self._cuts: set[int] = set()
        self._cuts_after_black: set[int] = set()

    def add(self, frame_index: int, pts_ns: int, thumbnail: Bgr) -> None:
        """Add the next frame, counted from 0; thumbnails are uint8 (H, W, 3) BGR of one size."""
        if frame_index == 0:
            # Repeat the first and the last frame, so that a cut next to them fits the window.
            self._feed(thumbnail, times=_WINDOW)
        self._feed(thumbnail)
        self._gradual.add(frame_index, pts_ns, thumbnail)

    def cuts(self) -> list[int]:
        """Return the first frame of each shot except the first; call once, after the last frame."""
        if self._recent:
            self._feed(self._recent[-1], times=_WINDOW)
        # A dark scene that dissolves into a bright one also looks like a fade.
        transitions = self._gradual.transitions
        fades = {
            cut
            for cut in self._cuts_after_black
            if not any(start <= cut <= stop for start, stop in transitions)
        }
        return sorted({*self._cuts, *fades, *self._gradual.cuts()})

    def _feed(self, thumbnail: Bgr, *, times: int = 1) -> None:
        for _ in range(times):
            timecode = self._timecode(self._num_fed, fps=_ANY_FPS)
            self._num_fed += 1
            self._recent.append(thumbnail)
            for cut in self._hard_cuts.process_frame(timecode, thumbnail):
                if self._is_new_scene():
                    self._cuts.add(cut.frame_num - _WINDOW)
            for cut in self._black_fades.process_frame(timecode, thumbnail):
                self._cuts_after_black.add(cut.frame_num - _WINDOW)

    def _is_new_scene(self) -> bool:
        """Return whether the middle one of the recent frames begins a new scene."""
        first, before, after, _, last = self._recent
        return (
            motion_compensated_residual(before, after) > _MIN_RESIDUAL
            and motion_compensated_residual(first, last) > _MIN_RESIDUAL
        )
