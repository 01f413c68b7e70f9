from collections.abc import Generator
from dataclasses import replace

import numpy as np
import pytest

from pvtt_flow.core.appearance import MeasureParams
from pvtt_flow.core.mask_shape import with_mask
from pvtt_flow.stages._observe import observed
from pvtt_flow.types import Appearance, Frame, Masklet, MaskletFrame
from tests.dataset.dataset_rows import HEIGHT_PX, WIDTH_PX, masklet

RED, WHITE = (220, 20, 20), (255, 255, 255)


class Shot:
    """Five frames with a red square on black; it is white on the fourth."""

    def __init__(self) -> None:
        self.read_positions: list[list[int]] = []

    def read(self, start: int, stop: int | None) -> Generator[Frame]:
        self.read_positions.append([])
        for position in range(5)[start:stop]:
            self.read_positions[-1].append(position)
            rgb = np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.uint8)
            rgb[10:30, 20:40] = WHITE if position == 3 else RED
            yield Frame(position, position, rgb)


def tracked(shown: str, prompted: int) -> Masklet:
    """Return a masklet of the square, with a mask where `shown` has an x."""
    square = np.zeros((HEIGHT_PX, WIDTH_PX), np.bool_)
    square[10:30, 20:40] = True

    def frame(place: int) -> MaskletFrame:
        empty = replace(
            masklet("mug").frames[1],
            frame_index=place,
            flags=("prompted",) if place == prompted else (),
        )
        return with_mask(empty, square if shown[place] == "x" else square & False)

    return masklet("mug", num_frames=5, frames=tuple(map(frame, range(5))))


def distances(found: Masklet) -> list[float | None]:
    return [None if f.appearance is None else f.appearance.color_distance for f in found.frames]


def test_each_mask_is_compared_with_the_prompted_one() -> None:
    shot = Shot()
    first, later = observed([tracked("xx.x.", 1), tracked(".x.xx", 3)], shot.read, MeasureParams())
    assert distances(first) == [0.0, 0.0, None, 1.0, None]
    assert distances(later) == [None, 1.0, None, 0.0, 1.0]
    # The two references, then all from the first mask to the last.
    assert shot.read_positions == [[1], [3], [0, 1, 2, 3, 4]]
    red, white = (found.frames[place].appearance for found, place in ((first, 1), (first, 3)))
    assert isinstance(red, Appearance)
    assert isinstance(white, Appearance)
    assert white.contour_contrast == pytest.approx(100.0, abs=0.5)
    assert red.contour_contrast is not None
    assert 50 < red.contour_contrast < 100
    assert red.flow_iou is None


def test_the_flow_is_by_setting() -> None:
    (found,) = observed([tracked("xx.xx", 0)], Shot().read, MeasureParams(flow=True))
    looks = [frame.appearance for frame in found.frames]
    assert [look and look.flow_iou for look in looks] == [None, 1.0, None, None, 1.0]


def test_masks_alone_are_read() -> None:
    shot = Shot()
    (found,) = observed([tracked("...x.", 1)], shot.read, MeasureParams())
    assert distances(found) == [None] * 5  # no reference on the prompted frame
    assert found.frames[3].appearance is not None
    assert shot.read_positions == [[3]]


@pytest.mark.parametrize(
    ("shown", "params"), [(".....", MeasureParams()), ("xxxxx", MeasureParams(appearance=False))]
)
def test_nothing_is_read_for_nothing(shown: str, params: MeasureParams) -> None:
    shot = Shot()
    before = tracked(shown, 0)
    assert observed([before], shot.read, params) == (before,)
    assert shot.read_positions == []
