"""The frames of one shot by their positions, for a tracker that reads ahead and goes back."""

from collections.abc import Generator, Sequence

from pvtt_flow.core.timeline import FrameTime, SamplingParams, sample
from pvtt_flow.errors import DataError
from pvtt_flow.models.tracker import MAX_PROMPTED_FRAMES, PromptedShot
from pvtt_flow.types import Frame, Prompt, Shot, Video
from pvtt_flow.video.limits import Limits
from pvtt_flow.video.seek import read_frames_at_times
from pvtt_flow.video.worker.decoder import Decoder, InProcessDecoder


def processed(shot: Shot, sampling: SamplingParams) -> tuple[FrameTime, ...]:
    """The frames of a shot that are processed, in order; its first one always is."""
    frames = (FrameTime(*place) for place in enumerate(shot.times_ns, shot.start_frame))
    return tuple(sample(frames, sampling, pts_ns=lambda time: time.pts_ns))


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
        self._limits = limits
        self._decoder = decoder or InProcessDecoder()
        self.times = processed(shot, sampling)
        """Which frames these are, by position."""

    def read(self, start: int, stop: int | None) -> Generator[Frame]:
        """The frames at positions `[start, stop)`, in order; to the end when `stop` is null.

        Each reading has a file of its own, which closes with the iterator, and is sought where
        that can be trusted. Raises what `read_frames_at_times` raises: DataError of kind
        `source_changed`, say, when the video is no longer what it was.
        """
        yield from self._read(self.times[start:stop])

    def at(self, positions: Sequence[int]) -> dict[int, Frame]:
        """The frames at some positions, ascending, by position; holds them all."""
        frames = self._read([self.times[position] for position in positions])
        return dict(zip(positions, frames, strict=True))

    def _read(self, times: Sequence[FrameTime]) -> Generator[Frame]:
        yield from self._decoder.iterate(
            read_frames_at_times, self._uri, times, video=self._video, limits=self._limits
        )


def clip_of(shot: ShotFrames, prompts: Sequence[Prompt]) -> PromptedShot:
    """The shot with its prompts, by position, and the frames that they are on.

    Raises DataError of kind `bad_prompt` when there are too many such frames, or one is not
    processed.
    """
    wanted = {p.frame_index for p in prompts}
    if len(wanted) > MAX_PROMPTED_FRAMES:
        raise DataError(
            "bad_prompt",
            f"prompts must be on at most {MAX_PROMPTED_FRAMES} frames of a shot, "
            f"got {len(wanted)}; give fewer, or split the video",
        )
    positions = {time.frame_index: position for position, time in enumerate(shot.times)}
    if skipped := sorted(wanted - positions.keys()):
        raise DataError(
            "bad_prompt",
            f"prompts must be on frames that are processed, got frames {skipped}: "
            f"they are outside the shot or skipped by the sampling",
        )
    placed = {
        positions[index]: [p for p in prompts if p.frame_index == index] for index in sorted(wanted)
    }
    return PromptedShot(read=shot.read, prompts=placed, prompt_frames=shot.at(list(placed)))
