"""What a file may ask of us. Generous for real footage; a hostile header ends here."""

from typing import Annotated

from pydantic import Field

from pvtt_flow.core.timeline import NS_PER_S
from pvtt_flow.errors import DataError
from pvtt_flow.params import Params


class Limits(Params):
    """Bounds on one video; more than these is a failure of kind `over_limit`."""

    max_bytes: Annotated[int, Field(ge=1)] = 50_000_000_000
    max_pixels: Annotated[int, Field(ge=1)] = 8192 * 8192
    """Of one frame, width times height."""
    max_frames: Annotated[int, Field(ge=1)] = 200_000
    max_duration_s: Annotated[float, Field(gt=0)] = 6 * 3600.0
    max_streams: Annotated[int, Field(ge=1)] = 100
    """Of all sorts: pictures, sound, subtitles, data."""
    frame_timeout_s: Annotated[float, Field(ge=0.01)] = 60.0
    """For decoding one frame, and for opening the file before the first; waiting for the store does
    not count. Held only where videos are decoded in a process of their own, as is the next one."""
    max_decoder_bytes: Annotated[int, Field(ge=1_000_000_000)] = 8_000_000_000
    """Private memory of the process that decodes."""

    def check_bytes(self, size_bytes: int) -> None:
        """Raises a DataError of kind `over_limit` for a larger file."""
        if size_bytes > self.max_bytes:
            raise _over(f"a file must have at most {self.max_bytes} bytes (max_bytes)", size_bytes)

    def check_size(self, width_px: int, height_px: int) -> None:
        """Raises a DataError of kind `over_limit` for a larger picture."""
        if width_px * height_px > self.max_pixels:
            rule = f"a frame must have at most {self.max_pixels} pixels (max_pixels)"
            raise _over(rule, f"{width_px}x{height_px}")

    def check_streams(self, num_streams: int) -> None:
        """Raises a DataError of kind `over_limit` for more streams."""
        if num_streams > self.max_streams:
            rule = f"a file must have at most {self.max_streams} streams (max_streams)"
            raise _over(rule, num_streams)

    def check_length(self, num_frames: int, duration_ns: int) -> None:
        """Raises a DataError of kind `over_limit` for more frames or a longer time."""
        if num_frames > self.max_frames:
            rule = f"a video must have at most {self.max_frames} frames (max_frames)"
            raise _over(rule, num_frames)
        if duration_ns > self.max_duration_s * NS_PER_S:
            rule = f"a video must last at most {self.max_duration_s:g} s (max_duration_s)"
            raise _over(rule, f"{duration_ns / NS_PER_S:.1f} s")


def _over(rule: str, got: object) -> DataError:
    return DataError("over_limit", f"{rule}, got {got}; raise the limit or make the video smaller")


DEFAULT_LIMITS = Limits()
