"""Read the frames of one shot by position, for a tracker that reads ahead and goes back."""

from collections.abc import Generator, Sequence

from pvtt_flow.core.timeline import FrameTime, SamplingParams, sample
from pvtt_flow.errors import DataError
from pvtt_flow.models.tracker import MAX_PROMPTED_FRAMES, PromptedShot
from pvtt_flow.types import Frame, Prompt, Shot, Video
from pvtt_flow.video.limits import Limits
from pvtt_flow.video.read import read_frames_at_times
from pvtt_flow.video.worker.decoder import Decoder, InProcessDecoder


def sampled_times(shot: Shot, sampling: SamplingParams) -> tuple[FrameTime, ...]:
    """Return the frames of a shot that sampling takes, in order, starting with its first frame."""
    times = (
        FrameTime(frame_index, pts_ns)
        for frame_index, pts_ns in enumerate(shot.times_ns, shot.start_frame)
    )
    return tuple(sample(times, sampling, pts_ns=lambda time: time.pts_ns))


class ShotFrames:
    """Frames of a shot, readable any number of times; a position counts its sampled frames."""

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
        self.times = sampled_times(shot, sampling)
        """Sampled frames, by position."""

    def read(self, start: int, stop: int | None) -> Generator[Frame]:
        """Yield the frames at positions `[start, stop)` in order, up to the end for `stop` None.

        Each call opens the file again and closes it with the iterator; it seeks where seeking is
        exact. Raises what `read_frames_at_times` raises: DataError of kind
        `source_changed`, for example, when the video was replaced.
        """
        yield from self._read(self.times[start:stop])

    def read_at(self, positions: Sequence[int]) -> dict[int, Frame]:
        """Decode the frames at some ascending positions; holds all of them."""
        frames = self._read([self.times[position] for position in positions])
        return dict(zip(positions, frames, strict=True))

    def _read(self, times: Sequence[FrameTime]) -> Generator[Frame]:
        yield from self._decoder.iterate(
            read_frames_at_times, self._uri, times, video=self._video, limits=self._limits
        )


def make_prompted_shot(shot: ShotFrames, prompts: Sequence[Prompt]) -> PromptedShot:
    """Return the shot with its prompts by position, and the frames that they are on.

    Raises DataError of kind `bad_prompt` for more than 64 prompted frames, and for one that is
    not processed.
    """
    frame_indices = {p.frame_index for p in prompts}
    if len(frame_indices) > MAX_PROMPTED_FRAMES:
        raise DataError(
            "bad_prompt",
            f"prompts must be on at most {MAX_PROMPTED_FRAMES} frames of a shot, "
            f"got {len(frame_indices)}; give fewer, or split the video",
        )
    positions = {time.frame_index: position for position, time in enumerate(shot.times)}
    if skipped := sorted(frame_indices - positions.keys()):
        raise DataError(
            "bad_prompt",
            f"prompts must be on frames that are processed, got frames {skipped}: "
            f"they are outside the shot or skipped by the sampling; correct their frame",
        )
    prompts_at: dict[int, list[Prompt]] = {
        positions[index]: [p for p in prompts if p.frame_index == index]
        for index in sorted(frame_indices)
    }
    return PromptedShot(
        read=shot.read, prompts=prompts_at, prompt_frames=shot.read_at(list(prompts_at))
    )
