"""Shot boundaries and what resembles them, on thumbnails of synthetic scenes."""

import numpy as np
import pytest

from pvtt_flow.core.shots import ShotParams, partition
from pvtt_flow.core.timeline import NS_PER_S
from pvtt_flow.video.shot_detection.detector import CutDetector
from tests.video.scenes import Images, dissolve, fade, scene


def cuts(images: Images, fps: float = 25.0) -> list[int]:
    finder = CutDetector()
    for i, image in enumerate(images):
        finder.add(i, round(i / fps * NS_PER_S), image)
    return finder.cuts()


def shot_starts(images: Images) -> list[int]:
    """Return the starts of the shots except the first, as a run computes them."""
    times_ns = [i * NS_PER_S // 25 for i in range(len(images))]
    shots = partition(cuts(images), times_ns, times_ns[-1] + NS_PER_S // 25, ShotParams())
    return [start for start, _ in shots[1:]]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("white", [False, True])
def test_a_cut_is_found_at_its_frame(seed: int, *, white: bool) -> None:
    clips = [scene(10 * seed + i, 20, white=white) for i in range(3)]
    assert cuts([*clips[0], *clips[1], *clips[2]]) == [20, 40]


def test_a_cut_at_either_end_is_found() -> None:
    first, second = scene(1, 30), scene(2, 30)
    assert cuts(first[:1] + second) == [1]
    assert cuts(first + second[:1]) == [30]


@pytest.mark.parametrize("num_mixed", [6, 12, 25])
@pytest.mark.parametrize("seed", range(3))
def test_a_shot_starts_where_the_dissolve_ends(seed: int, num_mixed: int) -> None:
    images = dissolve(scene(seed, 60), scene(seed + 50, 60), num_mixed)
    (cut,) = shot_starts(images)
    assert 60 - 3 <= cut <= 60 + 3


@pytest.mark.parametrize(("num_mixed", "num_black"), [(8, 0), (12, 6), (40, 30)])
def test_a_fade_ends_a_shot(num_mixed: int, num_black: int) -> None:
    images = fade(scene(3, 80), scene(4, 80), num_mixed, num_black)
    back = 80 + num_black + num_mixed
    starts = shot_starts(images)
    assert starts
    assert all(80 - num_mixed <= cut <= back + 3 for cut in starts)
    assert starts[-1] > back - num_mixed, "the new shot does not begin in the dark"


@pytest.mark.parametrize("pan_px", [1.0, 4.0, 10.0, 18.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_pan_is_no_cut(seed: int, pan_px: float) -> None:
    panned = scene(seed, 60, pan_px=pan_px)
    assert cuts(panned) == []
    assert cuts(panned[:1] * 10 + panned + panned[-1:] * 10) == [], "nor where it sets in"


def test_a_flash_is_no_cut() -> None:
    images = scene(5, 40)
    images[20] = np.clip(images[20].astype(int) + 90, 0, 255).astype(np.uint8)
    assert cuts(images) == []


def test_a_change_of_light_is_no_cut() -> None:
    images = scene(6, 60)
    levels = np.interp(np.arange(60), [20, 35], [1.0, 0.45])
    dimmed = [(p * level).astype(np.uint8) for p, level in zip(images, levels, strict=True)]
    assert cuts(dimmed) == []


@pytest.mark.parametrize("grain", [0.0, 12.0])
def test_a_still_video_has_no_cuts(grain: float) -> None:
    assert cuts(scene(7, 40, pan_px=0.0, grain=grain)) == []
    assert cuts([np.zeros((72, 128, 3), np.uint8)] * 40) == []


def test_short_videos() -> None:
    assert cuts([]) == []
    assert cuts(scene(8, 1)) == []
    assert cuts(scene(8, 2)) == []
