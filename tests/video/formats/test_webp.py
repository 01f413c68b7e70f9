"""Animated WebP, which Pillow decodes and FFmpeg does not."""

import io
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from pvtt_flow.core.timeline import FrameTime
from pvtt_flow.errors import DataError
from pvtt_flow.video.decode import TruncatedVideoError
from pvtt_flow.video.limits import DEFAULT_LIMITS, Limits
from pvtt_flow.video.probe import probe
from pvtt_flow.video.read import read_frames, read_frames_at_times
from tests.video.clip_maker import moving_image, number_of
from tests.video.damage_outcomes import outcome_of

NUM_FRAMES = 10


def webp(*images: Image.Image, **options: object) -> bytes:
    first, *others = images or [Image.fromarray(moving_image(i)) for i in range(NUM_FRAMES)]
    file = io.BytesIO()
    options = {"duration": 40, "lossless": True, **options}
    first.save(file, "WEBP", save_all=True, append_images=others, **options)
    return file.getvalue()


def numbers(data: bytes) -> tuple[list[int], bool]:
    """Return the numbers of the frames, and whether the video is truncated after them."""
    frame_numbers: list[int] = []
    try:
        frame_numbers.extend(number_of(frame.rgb) for frame in read_frames(io.BytesIO(data)))
    except TruncatedVideoError:
        return frame_numbers, True
    return frame_numbers, False


def kind_of(data: bytes, limits: Limits = DEFAULT_LIMITS) -> str:
    with pytest.raises(DataError) as caught:
        probe(io.BytesIO(data), size_bytes=len(data), limits=limits)
    return caught.value.kind


def test_frames_at_times() -> None:
    file = io.BytesIO(webp())
    video = probe(file, size_bytes=1)
    assert (video.width_px, video.height_px, video.codec) == (96, 64, "rawvideo")
    wanted = [FrameTime(i, 40_000_000 * i) for i in (2, 3, 9)]
    frames = list(read_frames_at_times(file, wanted, video=video))
    assert [number_of(frame.rgb) for frame in frames] == [2, 3, 9]


def test_very_short_durations_become_100_ms() -> None:
    times = [0, 10, 11, 200] + [40] * (NUM_FRAMES - 4)
    frames = read_frames(io.BytesIO(webp(duration=times)))
    assert [frame.pts_ns // 1_000_000 for frame in frames][:5] == [0, 100, 200, 211, 411]


@pytest.mark.parametrize("size_px", [(7, 5), (1, 1), (33, 64)])
def test_transparent_pixels_are_composed_over_white(size_px: tuple[int, int]) -> None:
    clear, dark = (Image.new("RGBA", size_px, color) for color in ("#12345600", "#123456"))
    shown = [frame.rgb for frame in read_frames(io.BytesIO(webp(clear, dark)))]
    assert [rgb.shape for rgb in shown] == [(size_px[1], size_px[0], 3)] * 2
    assert np.all(shown[0] == 255)
    assert np.all(shown[1] == (0x12, 0x34, 0x56))


def test_a_corrupt_frame_ends_the_video() -> None:
    data = bytearray(webp())
    middle = [i for i in range(len(data)) if data[i : i + 4] == b"VP8L"][6]
    data[middle + 16 : middle + 48] = bytes(32)
    assert numbers(bytes(data)) == (list(range(6)), True)


def test_a_truncated_file_is_undecodable() -> None:
    data = webp()
    assert kind_of(data[: len(data) // 2]) == "undecodable"


@pytest.mark.parametrize(
    "limit", [{"max_pixels": 96 * 64 - 1}, {"max_frames": 9}, {"max_duration_s": 0.3}]
)
def test_limits_apply(limit: dict[str, float]) -> None:
    assert kind_of(webp(), DEFAULT_LIMITS.model_copy(update=limit)) == "over_limit"


def test_mutated_files_fail_cleanly() -> None:
    good = webp(quality=80, lossless=False)
    kinds = Counter(outcome_of([good], seed).kind for seed in range(150))
    assert kinds["internal"] == 0
    assert kinds[""] > 0
    assert kinds["undecodable"] > 0


def test_a_still_is_decoded_by_ffmpeg() -> None:
    file = io.BytesIO()
    Image.fromarray(moving_image(3)).save(file, "WEBP", lossless=True)
    assert probe(file, size_bytes=1).codec == "webp"
