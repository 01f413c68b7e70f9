"""Rate of the frames of a sequence, which its clips get."""

from fractions import Fraction

import pytest

from pvtt_flow.core.timeline import SamplingParams, sample
from pvtt_flow.export.selection import SequenceRef
from pvtt_flow.export.sequence import Sequence, VideoColumns
from pvtt_flow.types import MaskletFrame
from tests.dataset.dataset_rows import masklet

NTSC = Fraction(30000, 1001)


def sequence_at(pts_ns: list[int], header: Fraction = Fraction(25)) -> Sequence:
    frames = tuple(
        MaskletFrame(
            frame_index=number,
            pts_ns=time_ns,
            rle=None,
            box_xyxy=None,
            area_px=0,
            object_score=None,
            predicted_iou=None,
            fragments=0,
        )
        for number, time_ns in enumerate(pts_ns)
    )
    ref = SequenceRef(
        name="a", video_id="a", shot_id="a/s0000@0", masklet_ids=("a/s0000@0/o000",), split=None
    )
    video = VideoColumns(
        video_id="a",
        uri="a.mp4",
        etag="1",
        size_bytes=1,
        width_px=64,
        height_px=48,
        fps_num=header.numerator,
        fps_den=header.denominator,
    )
    return Sequence(ref, video, (masklet("a", frames=frames),))


@pytest.mark.parametrize("source_fps", [Fraction(20), Fraction(24), Fraction(25), NTSC])
@pytest.mark.parametrize("target_fps", [8, 16])
def test_sampled_frames(source_fps: Fraction, target_fps: int) -> None:
    times = [round(number * 10**9 / source_fps) for number in range(round(source_fps * 4))]
    sampled = sample(times, SamplingParams(target_fps=target_fps), pts_ns=lambda time_ns: time_ns)
    assert sequence_at(list(sampled), source_fps).fps == target_fps


@pytest.mark.parametrize("stride", [1, 2, 5])
def test_every_nth_frame_of_a_clock_of_milliseconds(stride: int) -> None:
    times = [round(number * 1000 / NTSC) * 1_000_000 for number in range(0, 90, stride)]
    assert sequence_at(times, NTSC).fps == NTSC / stride


def test_a_pause_does_not_slow_a_clip_down() -> None:
    times = [*range(0, 10**9, 40_000_000), *range(10**11, 10**11 + 10**9, 40_000_000)]
    assert sequence_at(times).fps == 25


def test_a_rate_that_nobody_names() -> None:
    times = [number * 10**9 * 100 // 1751 for number in range(200)]
    assert sequence_at(times).fps == Fraction(1751, 100)


def test_one_frame_has_the_rate_of_the_header() -> None:
    assert sequence_at([0], NTSC).fps == NTSC
