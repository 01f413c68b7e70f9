"""Placement of a picture in a consumer's: sizes, and where a point comes out."""

import numpy as np
import pytest

from pvtt_flow.core.placement import place
from pvtt_flow.core.profile import PictureSize


def size(**values: object) -> PictureSize:
    return PictureSize.model_validate(values)


@pytest.mark.parametrize(
    ("rule", "source", "expected"),
    [
        (size(), (641, 359), (641, 359)),
        (size(multiple=8), (641, 359), (640, 352)),
        (size(multiple=8), (7, 100), (8, 96)),
        (size(max_side_px=960, multiple=8), (1920, 1080), (960, 536)),
        (size(max_side_px=960, multiple=8), (1080, 1920), (536, 960)),
        (size(max_side_px=960), (640, 360), (640, 360)),
        (size(width_px=832, height_px=480), (1920, 1080), (832, 468)),
        (size(width_px=832, height_px=480), (540, 1080), (240, 480)),
        (size(width_px=832, height_px=480, fit="crop"), (1080, 1920), (832, 480)),
        (size(width_px=832, height_px=480, fit="pad"), (1080, 1920), (832, 480)),
        (
            size(width_px=832, height_px=480, fit="crop", swap_for_portrait=True),
            (1080, 1920),
            (480, 832),
        ),
        (size(width_px=832, height_px=480, fit="crop", swap_for_portrait=True), (9, 9), (832, 480)),
    ],
)
def test_sizes(rule: PictureSize, source: tuple[int, int], expected: tuple[int, int]) -> None:
    placed = place(rule, *source)
    assert (placed.width_px, placed.height_px) == expected


def test_a_crop_cuts_off_both_sides_equally() -> None:
    placed = place(size(width_px=100, height_px=100, fit="crop"), 400, 200)
    boxes = placed.boxes(np.array([[0, 0, 400, 200], [100, 0, 300, 200]], np.float64))
    assert boxes.tolist() == [[-50, 0, 150, 100], [0, 0, 100, 100]]


def test_bars_are_on_both_sides() -> None:
    placed = place(size(width_px=100, height_px=100, fit="pad"), 400, 200)
    boxes = placed.boxes(np.array([[0, 0, 400, 200]], np.float64))
    assert boxes.tolist() == [[0, 25, 100, 75]]


def test_a_picture_that_is_only_fitted_fills_all_of_the_output() -> None:
    placed = place(size(multiple=8), 641, 359)
    boxes = placed.boxes(np.array([[0, 0, 641, 359]], np.float64))
    assert boxes == pytest.approx(np.array([[0, 0, 640, 352]]))
