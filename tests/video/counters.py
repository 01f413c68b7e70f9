"""Counters of bytes read and of frames decoded, to test how much work a request takes."""

import io
from collections.abc import Callable, Iterator
from typing import Any

import av
import pytest

import pvtt_flow.video.decode


class CountingFile(io.BytesIO):
    """File in memory that counts the bytes read from it."""

    num_bytes_read = 0

    def read(self, size: int | None = -1) -> bytes:
        """Read like any file."""
        data = super().read(size)
        self.num_bytes_read += len(data)
        return data


def count_decoded_frames(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Return a function that returns the number of frames decoded since its last call."""
    count = 0
    original = pvtt_flow.video.decode.decode_packets

    def counting(*args: Any) -> Iterator[av.VideoFrame]:
        nonlocal count
        for frame in original(*args):
            count += 1
            yield frame

    def take_count() -> int:
        nonlocal count
        taken, count = count, 0
        return taken

    for user in ("decode", "seek"):
        monkeypatch.setattr(f"pvtt_flow.video.{user}.decode_packets", counting)
    return take_count
