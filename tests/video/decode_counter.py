"""Counts what decoders show, to tell how much was decoded for what was asked."""

from collections.abc import Callable, Iterator
from typing import Any

import av
import pytest

import pvtt_flow.video.decode


def count_decoded_frames(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Gives the number of pictures since it was last asked."""
    count = 0
    really_decode = pvtt_flow.video.decode.decode_packets

    def counting(*args: Any) -> Iterator[av.VideoFrame]:
        nonlocal count
        for picture in really_decode(*args):
            count += 1
            yield picture

    def taken() -> int:
        nonlocal count
        taken, count = count, 0
        return taken

    for user in ("decode", "seek"):
        monkeypatch.setattr(f"pvtt_flow.video.{user}.decode_packets", counting)
    return taken
