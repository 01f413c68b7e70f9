"""Limits on what one video may cost, generous enough for real footage."""

from contextlib import AbstractContextManager, nullcontext
from typing import Annotated

from pydantic import Field

from pvtt_flow.core.timeline import NS_PER_S
from pvtt_flow.errors import DataError
from pvtt_flow.params import Params


class Limits(Params):
    """Limits on one video. A video that exceeds one fails with kind `over_limit`."""

    max_bytes: Annotated[int, Field(ge=1)] = 50_000_000_000
    """Largest file, in bytes."""
    max_pixels: Annotated[int, Field(ge=1)] = 8192 * 8192
    """Largest frame, width times height."""
    max_frames: Annotated[int, Field(ge=1)] = 200_000
    """Largest number of frames."""
    max_duration_s: Annotated[float, Field(gt=0)] = 6 * 3600.0
    """Longest duration, in seconds."""
    max_streams: Annotated[int, Field(ge=1)] = 100
    """Largest number of streams of all types: video, audio, subtitles, data."""
    frame_timeout_s: Annotated[float, Field(ge=0.01, le=86_400)] = 60.0
    """Longest time to decode one frame, or to open the file, in seconds; time spent waiting for the
    store does not count. Applies only with `run.isolate_decoders`."""
    max_decoder_bytes: Annotated[int, Field(ge=1_000_000_000, le=1 << 62)] = 8_000_000_000
    """Largest private memory of a decoder process, in bytes. Applies only with
    `run.isolate_decoders`."""

    def check_bytes(self, size_bytes: int) -> None:
        """Raise a DataError of kind `over_limit` for a larger file."""
        if size_bytes > self.max_bytes:
            raise _over(f"a file must have at most {self.max_bytes} bytes (max_bytes)", size_bytes)

    def check_size(self, width_px: int, height_px: int) -> None:
        """Raise a DataError of kind `over_limit` for a larger frame."""
        if width_px * height_px > self.max_pixels:
            rule = f"a frame must have at most {self.max_pixels} pixels (max_pixels)"
            raise _over(rule, f"{width_px}x{height_px}")

    def check_streams(self, num_streams: int) -> None:
        """Raise a DataError of kind `over_limit` for more streams."""
        if num_streams > self.max_streams:
            rule = f"a file must have at most {self.max_streams} streams (max_streams)"
            raise _over(rule, num_streams)

    def check_length(self, num_frames: int, duration_ns: int) -> None:
        """Raise a DataError of kind `over_limit` for more frames or a longer duration."""
        if num_frames > self.max_frames:
            rule = f"a video must have at most {self.max_frames} frames (max_frames)"
            raise _over(rule, num_frames)
        if duration_ns > self.max_duration_s * NS_PER_S:
            rule = f"a video must last at most {self.max_duration_s:g} s (max_duration_s)"
            raise _over(rule, f"{duration_ns / NS_PER_S:.1f} s")


def _over(rule: str, got: object) -> DataError:
    return DataError("over_limit", f"{rule}, got {got}; raise the limit or make the video smaller")


DEFAULT_LIMITS = Limits()


class FrameTimer:
    """Timer for `Limits.frame_timeout_s`; does nothing, since FFmpeg cannot be interrupted here.

    A decoder process passes `worker.limits.AlarmTimer`, which ends the process.
    """

    def restart(self) -> None:
        """Start the time for the next frame."""

    def paused(self) -> AbstractContextManager[None]:
        """Pause the timer inside the `with` block."""
        return nullcontext()


NO_TIMER = FrameTimer()
