import numpy as np
import pytest

from pvtt_flow.review.overlay import OverlayObject, color_of, objects_on, overlay
from tests.review.masklet_factories import HEIGHT_PX, WIDTH_PX, grey_frame, masklet_of

MASKLET = masklet_of(2, {0: (40, 30, 100, 90), 3: None, 5: (0, 0, 20, 20)})


def test_objects_are_matched_by_frame_index() -> None:
    (found,) = objects_on([MASKLET], 5)
    assert (found.object_id, found.box_xyxy) == (2, (0, 0, 20, 20))
    assert found.mask is not None
    assert found.mask.shape == (HEIGHT_PX, WIDTH_PX)
    assert found.mask.sum() == 400
    # Absent, between two processed frames, after the last one.
    assert [objects_on([MASKLET], index) for index in (3, 4, 6)] == [[], [], []]


def test_the_mask_is_tinted_in_the_objects_colour_and_the_rest_is_not() -> None:
    frame = grey_frame(0)
    painted = overlay(frame.rgb, objects_on([MASKLET], 0))
    assert painted.flags.c_contiguous
    assert painted.dtype == np.uint8
    tint = painted[60, 70].astype(int) - 100
    towards = np.array(color_of(2)) - 100
    assert np.abs(tint - 0.45 * towards).max() <= 2
    assert (painted[110, 10] == 100).all()
    assert (frame.rgb == 100).all()


def test_the_box_is_drawn_on_its_last_pixels() -> None:
    painted = overlay(grey_frame(0).rgb, objects_on([MASKLET], 0), with_labels=False)
    assert tuple(painted[89, 70]) == color_of(2)
    assert tuple(painted[60, 99]) == color_of(2)
    assert (painted[60, 102] == 100).all()


def test_scaling_scales_picture_mask_and_box() -> None:
    painted = overlay(grey_frame(0).rgb, objects_on([MASKLET], 0), scale=2.0, with_labels=False)
    assert painted.shape == (2 * HEIGHT_PX, 2 * WIDTH_PX, 3)
    assert tuple(painted[179, 140]) == color_of(2)
    assert (painted[183, 140] == 100).all()


def test_a_prompt_is_a_box_alone() -> None:
    prompt = OverlayObject(0, "mug", (40.0, 30.0, 100.0, 90.0))
    painted = overlay(grey_frame(0).rgb, [prompt], with_labels=False)
    assert tuple(painted[30, 70]) == color_of(0)
    assert (painted[60, 70] == 100).all()


def test_no_objects_give_a_copy() -> None:
    rgb = grey_frame(0).rgb
    painted = overlay(rgb, [])
    assert (painted == rgb).all()
    assert not np.shares_memory(painted, rgb)


def test_neighbouring_objects_differ() -> None:
    assert len({color_of(object_id) for object_id in range(8)}) == 8
    assert color_of(8) == color_of(0)


def test_a_mask_of_another_size_is_refused() -> None:
    small = np.zeros((60, 80, 3), np.uint8)
    with pytest.raises(ValueError, match=r"mask of object 2 must have .* \(60, 80\), got \(120, 1"):
        overlay(small, objects_on([MASKLET], 0))
