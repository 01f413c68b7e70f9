"""The head that is made is one that FFmpeg reads: samples, times, and that each is a keyframe."""

import io
from fractions import Fraction

import av
from hypothesis import given, settings
from hypothesis import strategies as st

from pvtt_flow.video.formats.quicktime import Coding, head
from tests.video.packets import seconds_of


@settings(max_examples=30)
@given(
    st.lists(st.integers(1, 300), min_size=1, max_size=20),
    st.sampled_from([Fraction(25), Fraction(30_000, 1001), Fraction(1, 100), Fraction(1000)]),
    st.sampled_from(["jpeg", "png"]),
)
def test_ffmpeg_finds_every_sample(sizes_bytes: list[int], fps: Fraction, coding: Coding) -> None:
    samples = [bytes([1 + i]) * size for i, size in enumerate(sizes_bytes)]
    file = io.BytesIO(
        head(coding, sizes_bytes, [fps.denominator] * len(sizes_bytes), fps.numerator)
        + b"".join(samples)
    )
    with av.open(file, "r") as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == {"jpeg": "mjpeg", "png": "png"}[coding]
        assert (stream.frames, stream.average_rate) == (len(samples), fps)
        packets = [packet for packet in container.demux(stream) if packet.size]
        assert [bytes(packet) for packet in packets] == samples
        assert [seconds_of(packet) for packet in packets] == [i / fps for i in range(len(samples))]
        assert all(packet.is_keyframe for packet in packets)


def test_a_file_of_more_than_four_gigabytes_is_told_in_full() -> None:
    start = head("jpeg", [1 << 30] * 5, [1] * 5, 25)
    assert int.from_bytes(start[-8:], "big") == 16 + (5 << 30)
    assert len(start) < 1000
