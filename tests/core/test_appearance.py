import numpy as np
import pytest
from numpy.typing import NDArray

from pvtt_flow.core.appearance import (
    Observer,
    Sight,
    color_distance,
    colors_of,
    contour_contrast,
    flow_iou,
    view_of,
)
from tests.dataset.dataset_rows import HEIGHT_PX, WIDTH_PX, masklet

BLACK, WHITE, RED = (0, 0, 0), (255, 255, 255), (220, 20, 20)
SEED = 20261128
Color = tuple[int, int, int]
Box = tuple[int, int, int, int]


def picture(*painted: tuple[Box, Color], size: tuple[int, int] = (80, 100)) -> NDArray[np.uint8]:
    """Black, with boxes of other colors."""
    rgb = np.zeros((*size, 3), np.uint8)
    for (x0, y0, x1, y1), color in painted:
        rgb[y0:y1, x0:x1] = color
    return rgb


def sight(rgb: NDArray[np.uint8], box_xyxy: Box) -> Sight:
    mask = np.zeros(rgb.shape[:2], np.bool_)
    x0, y0, x1, y1 = box_xyxy
    mask[y0:y1, x0:x1] = True
    return Sight(rgb, mask, box_xyxy)


def distance(a: Sight, b: Sight) -> float:
    colors = [colors_of(view_of(each)) for each in (a, b)]
    assert colors[0] is not None
    assert colors[1] is not None
    return color_distance(colors[0], colors[1])


BOX = (30, 20, 50, 40)
LEFT_HALF = (30, 20, 40, 40)


@pytest.mark.parametrize(
    ("painted", "expected"),
    [
        (((BOX, RED),), 0.0),
        (((BOX, WHITE),), 1.0),
        # Half of its pixels: sqrt(1 - sqrt(1/2)).
        (((BOX, RED), (LEFT_HALF, WHITE)), 0.5412),
        # What is around it does not count.
        ((((0, 0, 100, 80), WHITE), (BOX, RED)), 0.0),
    ],
)
def test_color_distance(painted: tuple[tuple[Box, Color], ...], expected: float) -> None:
    red = sight(picture((BOX, RED)), BOX)
    found = distance(red, sight(picture(*painted), BOX))
    assert found == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("painted", "box_xyxy", "expected"),
    [
        (((BOX, WHITE),), BOX, 100.0),
        ((), BOX, 0.0),
        # The border of the picture is no outline: there is nothing beyond.
        ((((0, 0, 50, 80), WHITE),), (0, 0, 50, 80), 100.0),
        ((((0, 0, 100, 80), WHITE),), (0, 0, 100, 80), None),
        # All but the outline's right side has no contrast: the median is that of the others.
        ((((0, 0, 50, 80), WHITE),), BOX, 0.0),
    ],
)
def test_contour_contrast(
    painted: tuple[tuple[Box, Color], ...], box_xyxy: Box, expected: float | None
) -> None:
    found = contour_contrast(view_of(sight(picture(*painted), box_xyxy)))
    assert found == (expected if expected is None else pytest.approx(expected, abs=0.5))


def test_large_pictures_give_about_the_same() -> None:
    tiles = np.random.default_rng(SEED).integers(0, 256, (10, 10, 3), np.uint8)
    small = tiles.repeat(8, 0).repeat(8, 1)
    large = small.repeat(20, 0).repeat(20, 1)
    a, b = sight(small, (16, 16, 56, 48)), sight(large, (320, 320, 1120, 960))
    views = view_of(a), view_of(b)
    assert views[0].mask.shape == (52, 60)
    assert max(views[1].mask.shape) == 192
    assert distance(a, b) < 0.25
    contrasts = [contour_contrast(view) for view in views]
    assert contrasts[1] == pytest.approx(contrasts[0], rel=0.15)


def test_an_object_thinner_than_a_pixel_of_its_view_has_no_colors() -> None:
    line = sight(np.zeros((2000, 100, 3), np.uint8), (50, 0, 51, 2000))
    view = view_of(line)
    assert not view.mask.any()
    assert colors_of(view) is None
    assert contour_contrast(view) is None
    assert flow_iou(line, line) is None


def moved(rgb: NDArray[np.uint8], by_px: int) -> NDArray[np.uint8]:
    return np.roll(rgb, by_px, axis=1)


def texture() -> NDArray[np.uint8]:
    coarse = np.random.default_rng(SEED).integers(0, 256, (20, 30, 3), np.uint8)
    return coarse.repeat(6, 0).repeat(6, 1)


def test_the_flow_takes_a_mask_along() -> None:
    rgb, box, six_on = texture(), (60, 40, 100, 80), (66, 40, 106, 80)
    before = sight(rgb, box)
    follows = flow_iou(before, sight(moved(rgb, 6), six_on))
    stays = flow_iou(before, sight(moved(rgb, 6), box))
    assert follows is not None
    assert follows > 0.95
    # 34 of 46 columns are in both.
    assert stays == pytest.approx(34 / 46, abs=0.03)


def test_a_mask_too_small_for_the_flow() -> None:
    tiny = sight(np.zeros((12, 12, 3), np.uint8), (4, 4, 8, 8))
    assert flow_iou(tiny, tiny) is None


def test_an_observer_looks_at_frames_in_order() -> None:
    rgb = texture()
    here = sight(rgb, (60, 40, 100, 80))
    observer = Observer(here, flow=True)
    looks = [observer.look(seen) for seen in (here, here, None, here)]
    assert [look is None for look in looks] == [False, False, True, False]
    assert [look.flow_iou for look in looks if look] == [None, 1.0, None]
    assert {look.color_distance for look in looks if look} == {0.0}


def test_without_a_reference_there_is_no_distance() -> None:
    look = Observer(None, flow=False).look(sight(picture((BOX, RED)), BOX))
    assert look is not None
    assert look.color_distance is None
    assert look.contour_contrast is not None


def test_the_sight_of_a_masklets_frame() -> None:
    shown, absent = masklet("mug").frames[:2]
    rgb = picture(size=(HEIGHT_PX, WIDTH_PX))
    found = Sight.of(rgb, shown)
    assert found is not None
    assert found.box_xyxy == (1, 2, 3, 4)
    assert np.argwhere(found.mask).tolist() == [[2, 1], [2, 2], [3, 1], [3, 2]]
    assert Sight.of(rgb, absent) is None
