"""Animated WebP, which FFmpeg does not decode, as a QuickTime file of frames decoded by Pillow.

The QuickTime file is never written: its header is made from the chunks of the WebP (RFC 9649), and
its samples are decoded when they are read.
"""

import io
from collections.abc import Iterator
from itertools import islice
from typing import Protocol

import numpy as np
from PIL import Image

from pvtt_flow.core.virtual_file import Buffer
from pvtt_flow.errors import DataError
from pvtt_flow.video.formats.quicktime import QuicktimeFile, head
from pvtt_flow.video.limits import Limits

HEAD_BYTES = 30
"""Number of bytes that `is_animated` needs."""
_ANIMATION = 0x02
_TICKS_HZ = 1000
# Browsers replace shorter durations by a tenth of a second.
_SHORTEST_MS, _INSTEAD_MS = 11, 100
# The whole file is held in memory; images for the web are small.
_MAX_BYTES, _PIECE_BYTES = 1 << 28, 1 << 20
_BYTES_A_PIXEL = 4


def is_animated(start: bytes) -> bool:
    """Return whether a file with these first bytes is an animated WebP."""
    is_extended = start[:4] == b"RIFF" and start[8:16] == b"WEBPVP8X"
    return is_extended and len(start) >= HEAD_BYTES and bool(start[20] & _ANIMATION)


class Readable(Protocol):
    """File that can be read."""

    def read(self, num_bytes: int, /) -> bytes:
        """Return up to `num_bytes` from the current position; empty at the end."""


class AnimatedWebp(QuicktimeFile):
    """Animated WebP as a QuickTime file; truncated at a corrupt frame, which FFmpeg notices."""

    def __init__(self, file: Readable, limits: Limits) -> None:
        """Read the whole WebP, but decode none of its frames.

        Raises what the file raises, and DataError of kind `undecodable` or `over_limit`.
        """
        data = _content(file)
        limits.check_size(*_canvas_px(data))
        durations = list(islice(_durations_ms(data), limits.max_frames + 1))
        limits.check_length(len(durations), 10**6 * sum(durations))
        self._picture = _opened(data, len(durations))
        self._size_bytes = _BYTES_A_PIXEL * self._picture.width * self._picture.height
        sizes_bytes = [self._size_bytes] * len(durations)
        start = head("argb", sizes_bytes, durations, _TICKS_HZ, self._picture.size)
        super().__init__(start, sum(sizes_bytes))
        self._decoded_index, self._decoded = -1, b""

    def _samples_at(self, offset: int, num_bytes: int) -> Buffer:
        del num_bytes  # the rest of a decoded frame is at hand
        index, start = divmod(offset, self._size_bytes)
        if index != self._decoded_index:
            self._decoded_index, self._decoded = index, self._decode(index)
        return memoryview(self._decoded)[start:]

    def _decode(self, index: int) -> bytes:
        """Return alpha, red, green and blue of each pixel; empty for a corrupt frame."""
        try:
            self._picture.seek(index)
            rgba = np.asarray(self._picture.convert("RGBA"))
        except (OSError, EOFError, ValueError):
            return b""
        return np.roll(rgba, 1, axis=2).tobytes()


def _content(file: Readable) -> bytes:
    data = bytearray()
    while piece := file.read(_PIECE_BYTES):
        data += piece
        if len(data) > _MAX_BYTES:
            raise DataError(
                "over_limit",
                f"an animated WebP must have at most {_MAX_BYTES} bytes; transcode it to a video",
            )
    return bytes(data)


def _canvas_px(data: bytes) -> tuple[int, int]:
    """Return width and height, which are stored minus one."""
    return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")


def _durations_ms(data: bytes) -> Iterator[int]:
    """Return the duration of each frame, from its ANMF chunk."""
    position = 12
    while position + 8 <= len(data):
        kind, size = data[position : position + 4], data[position + 4 : position + 8]
        if kind == b"ANMF":
            duration_ms = int.from_bytes(data[position + 20 : position + 23], "little")
            yield duration_ms if duration_ms >= _SHORTEST_MS else _INSTEAD_MS
        # Chunks are padded to an even number of bytes.
        position += 8 + (int.from_bytes(size, "little") + 1) // 2 * 2


def _opened(data: bytes, num_pictures: int) -> Image.Image:
    try:
        picture = Image.open(io.BytesIO(data), formats=["WEBP"])
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise _undecodable(str(error)) from error
    num_decodable = getattr(picture, "n_frames", 1)
    if num_decodable != num_pictures:
        raise _undecodable(f"there are {num_decodable} pictures and {num_pictures} times")
    return picture


def _undecodable(reason: str) -> DataError:
    return DataError(
        "undecodable",
        f"an animated WebP must decode, but: {reason}; upload it again or transcode it to a video",
    )
