"""The frames of one shot by their positions, for a tracker that reads ahead and goes back."""

import threading
from array import array
from collections.abc import Generator, Sequence
from contextlib import closing
from itertools import islice

from pvtt_flow.core.timeline import FrameTime, SamplingParams
from pvtt_flow.data import Frame, Prompt, Shot, Video
from pvtt_flow.errors import DataError
from pvtt_flow.isolation.decoder import Decoder, InProcess
from pvtt_flow.media.decode import DecodeBreakError, read_frames
from pvtt_flow.media.limits import Limits
from pvtt_flow.media.seek import read_known_frames
from pvtt_flow.models.tracker import Clip

# Each of them is held, decoded, while its shot is tracked.
MAX_PROMPTED_FRAMES = 32


class ShotFrames:
    """A shot that can be read as often as one likes; a position counts its sampled frames."""

    def __init__(
        self,
        uri: str,
        video: Video,
        shot: Shot,
        sampling: SamplingParams,
        limits: Limits,
        decoder: Decoder | None = None,
    ) -> None:
        self._uri = uri
        self._video = video
        self._shot = shot
        self._sampling = sampling
        self._limits = limits
        self._decoder = decoder or InProcess()
        self._known = _Known()
        self.broken: DecodeBreakError | None = None
        """Why the shot ends early, once someone has read that far."""

    def read(self, start: int, stop: int | None) -> Generator[Frame]:
        """The frames at positions `[start, stop)`, in order; to the end when `stop` is null.

        Each reading has a file of its own, which closes with the iterator. What has been read
        before is sought, the rest is decoded from the video's first frame on.

        On the way to the end a break is the end and is kept, not raised: a tracker reads ahead, so
        an exception would cost the frames that it holds already. Else raises what `read_frames`
        raises, and DataError of kind `source_changed` when the video is no longer what it was.
        """
        known = [] if stop is None else self._known.between(start, stop)
        if stop is not None and len(known) == stop - start:
            yield from self._decoder.iterate(
                read_known_frames, self._uri, known, video=self._video, limits=self._limits
            )
            return
        with closing(self._counted()) as counted:
            try:
                yield from islice(counted, start, stop)
            except DecodeBreakError as error:
                if stop is not None:
                    raise
                self.broken = error

    def _counted(self) -> Generator[Frame]:
        """All positions; each is known from then on."""
        decoded = self._decoder.iterate(
            read_frames,
            self._uri,
            video=self._video,
            sampling=self._sampling,
            limits=self._limits,
            start_frame=self._shot.start_frame,
            stop_frame=self._shot.stop_frame,
        )
        with closing(decoded):
            for position, frame in enumerate(decoded):
                self._known.add(position, frame)
                yield frame


class _Known:
    """Where the frames are that have been read, by position; several threads read a shot."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._frame_index = array("q")
        self._pts_ns = array("q")

    def add(self, position: int, frame: Frame) -> None:
        """Whoever counts starts at 0, so positions come without gaps."""
        with self._changing:
            if position == len(self._pts_ns):
                self._frame_index.append(frame.frame_index)
                self._pts_ns.append(frame.pts_ns)

    def between(self, start: int, stop: int) -> list[FrameTime]:
        """Those of the positions `[start, stop)` that are known."""
        with self._changing:
            places = zip(self._frame_index[start:stop], self._pts_ns[start:stop], strict=True)
            return [FrameTime(*place) for place in places]


def clip_of(shot: ShotFrames, prompts: Sequence[Prompt]) -> Clip:
    """The shot with its prompts, by position, and the frames that they are on.

    Raises DataError of kind `bad_prompt` when there are too many such frames, or one is not
    processed.
    """
    waiting = {p.frame_index for p in prompts}
    if len(waiting) > MAX_PROMPTED_FRAMES:
        raise DataError(
            "bad_prompt",
            f"prompts must be on at most {MAX_PROMPTED_FRAMES} frames of a shot, "
            f"got {len(waiting)}; give fewer, or split the video",
        )
    placed: dict[int, list[Prompt]] = {}
    frames: dict[int, Frame] = {}
    with closing(shot.read(0, None)) as read:
        for position, frame in enumerate(read):
            if frame.frame_index in waiting:
                waiting.discard(frame.frame_index)
                frames[position] = frame
                placed[position] = [p for p in prompts if p.frame_index == frame.frame_index]
            if not waiting:
                return Clip(read=shot.read, prompts=placed, prompt_frames=frames)
    raise shot.broken or DataError(
        "bad_prompt",
        f"prompts must be on frames that are processed, got frames {sorted(waiting)}: "
        f"they are past the end or skipped by the sampling",
    )
