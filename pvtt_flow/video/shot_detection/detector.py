"""Where one shot ends and the next begins: hard cuts, dissolves, fades."""

from collections import deque

from pvtt_flow.video.shot_detection.block_matching import Bgr, motion_compensated_residual
from pvtt_flow.video.shot_detection.gradual import GradualTransitionDetector

# PySceneDetect compares a frame's change with those of two frames on either side of it.
_WINDOW = 2
# Both low, since candidates are looked at again: a cut between two products on white changes
# little, and one in a shaky shot not much more than the shaking.
_MIN_RATIO, _MIN_CHANGE = 1.5, 4.0
# Between the movements and the cuts that were measured; see `novelty`.
_MIN_NOVELTY = 0.65
# Only frame numbers are asked for.
_ANY_FPS = 25.0


class CutDetector:
    """Takes small pictures of a video's frames in order; memory does not grow with the video.

    Hard cuts are proposed by PySceneDetect's AdaptiveDetector, which finds what changes more than
    the frames around it, and must then be new beyond movement, across the frame itself and across
    its neighbours: a flash comes back to what it was. Fades through a long black, which no window
    spans, are those of its ThresholdDetector.
    """

    def __init__(self) -> None:
        # Half a second, which not every command needs.
        from scenedetect import AdaptiveDetector, FrameTimecode, ThresholdDetector

        self._hard = AdaptiveDetector(
            adaptive_threshold=_MIN_RATIO,
            min_scene_len=1,
            window_width=_WINDOW,
            min_content_val=_MIN_CHANGE,
        )
        self._black = ThresholdDetector(min_scene_len=1, fade_bias=1.0)
        self._timecode = FrameTimecode
        self._dissolves = GradualTransitionDetector()
        self._recent: deque[Bgr] = deque(maxlen=2 * _WINDOW + 1)
        self._num_fed = 0
        self._cuts: set[int] = set()
        self._after_black: set[int] = set()

    def add(self, frame_index: int, pts_ns: int, picture: Bgr) -> None:
        """The next frame, `frame_index` counting from 0; uint8 (H, W, 3) BGR, all of one size."""
        if frame_index == 0:
            # The window must not swallow a cut after the first frame, or before the last.
            self._feed(picture, times=_WINDOW)
        self._feed(picture)
        self._dissolves.add(frame_index, pts_ns, picture)

    def cuts(self) -> list[int]:
        """The first frame of each shot but the first; call it once, after the last frame."""
        if self._recent:
            self._feed(self._recent[-1], times=_WINDOW)
        # A dark scene that dissolves into a bright one passes for a fade, too.
        dissolved = self._dissolves.found
        fades = {
            cut
            for cut in self._after_black
            if not any(start <= cut <= stop for start, stop in dissolved)
        }
        return sorted({*self._cuts, *fades, *self._dissolves.cuts()})

    def _feed(self, picture: Bgr, *, times: int = 1) -> None:
        for _ in range(times):
            now = self._timecode(self._num_fed, fps=_ANY_FPS)
            self._num_fed += 1
            self._recent.append(picture)
            for cut in self._hard.process_frame(now, picture):
                if self._is_new():
                    self._cuts.add(cut.frame_num - _WINDOW)
            for cut in self._black.process_frame(now, picture):
                self._after_black.add(cut.frame_num - _WINDOW)

    def _is_new(self) -> bool:
        """Whether the picture in the middle of the recent ones begins something new."""
        first, before, after, _, last = self._recent
        return (
            motion_compensated_residual(before, after) > _MIN_NOVELTY
            and motion_compensated_residual(first, last) > _MIN_NOVELTY
        )
