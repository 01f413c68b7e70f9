from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvtt_flow.core import rle
from pvtt_flow.core.prompts import fit_prompts, merge_prompts, prompts_within
from pvtt_flow.errors import DataError
from pvtt_flow.types import Prompt


def test_a_manifest_prompt_overrides_the_detected_one() -> None:
    given_one = Prompt(object_id=1, frame_index=0, points_xy=((3, 4),), point_labels=(1,),
                       origin="manifest")  # fmt: skip
    detected = tuple(
        Prompt(
            object_id=object_id,
            frame_index=0,
            box_xyxy=(10 + 40 * object_id, 10, 45 + 40 * object_id, 45),
        )
        for object_id in (0, 1)
    )
    merged = merge_prompts((given_one,), detected, width_px=100, height_px=100, max_iou=0.7)
    assert [(p.object_id, p.origin) for p in merged] == [(1, "manifest"), (0, "detector")]


def test_prompts_of_a_shot() -> None:
    def at(object_id: int, frame_index: int, *, correction: bool = False) -> Prompt:
        return Prompt(
            object_id=object_id, frame_index=frame_index, box_xyxy=(0, 0, 1, 1),
            correction=correction,
        )  # fmt: skip

    first, fixed = at(0, 3), at(0, 9, correction=True)
    later, again = at(0, 30, correction=True), at(0, 25, correction=True)
    prompts = (first, fixed, later, again)
    assert prompts_within(prompts, 0, 10) == (first, fixed)
    assert prompts_within(prompts, 3, 9) == (first,)
    assert prompts_within(prompts, 10, 20) == ()
    # After a cut nothing has been tracked that could be corrected: the earliest one starts anew.
    assert prompts_within(prompts, 20, 40) == (later, at(0, 25))


def manifest_prompt(**values: Any) -> Prompt:
    return replace(
        Prompt(object_id=5, frame_index=0, box_xyxy=(0, 0, 1, 1)),
        origin="manifest",
        **({"box_xyxy": None} | values),
    )


def merged(*manifest: Prompt, frame_index: int = 0) -> list[int]:
    """Ids of the objects, with one product that the detector finds at (10, 10, 50, 50)."""
    product = Prompt(object_id=0, frame_index=frame_index, box_xyxy=(10, 10, 50, 50), score=0.9)
    prompts = merge_prompts(manifest, (product,), width_px=100, height_px=80, max_iou=0.7)
    return [prompt.object_id for prompt in prompts]


def mask(box_xyxy: tuple[int, int, int, int] | None) -> str:
    picture = np.zeros((80, 100), bool)
    if box_xyxy is not None:
        x0, y0, x1, y1 = box_xyxy
        picture[y0:y1, x0:x1] = True
    return rle.encode(picture)


def test_a_product_with_a_prompt_is_not_added_again() -> None:
    assert merged(manifest_prompt(box_xyxy=(11, 10, 51, 50))) == [5]
    assert merged(manifest_prompt(mask_rle=mask((10, 10, 50, 49)))) == [5]
    on_it = manifest_prompt(points_xy=((30, 30), (90, 70)), point_labels=(1, 0))
    assert merged(on_it) == [5]


def test_another_product_is_added() -> None:
    assert merged(manifest_prompt(box_xyxy=(40, 10, 90, 50))) == [5, 0]
    assert merged(manifest_prompt(mask_rle=mask((60, 10, 90, 49)))) == [5, 0]
    assert merged(manifest_prompt(points_xy=((30, 30), (90, 70)), point_labels=(1, 1))) == [5, 0]
    elsewhere = manifest_prompt(box_xyxy=(60, 10, 90, 50))
    not_there = manifest_prompt(points_xy=((70, 70),), point_labels=(0,))
    assert merged(elsewhere, not_there) == [5, 5, 0]
    # Objects move: boxes on other frames say nothing.
    assert merged(manifest_prompt(box_xyxy=(11, 10, 51, 50)), frame_index=3) == [5, 0]


@given(
    st.tuples(*[st.floats(-1, 101, width=32)] * 2),
    st.tuples(*[st.floats(-1, 81, width=32)] * 2),
)
def test_coordinates_off_by_at_most_a_pixel_are_clipped(
    xs: tuple[float, float], ys: tuple[float, float]
) -> None:
    points = tuple(zip(xs, ys, strict=True))
    (fitted,) = fit_prompts([manifest_prompt(points_xy=points, point_labels=(1, 1))], 100, 80)
    for point, (x, y) in zip(points, fitted.points_xy, strict=True):
        assert 0 <= x < 100
        assert 0 <= y < 80
        assert max(abs(point[0] - x), abs(point[1] - y)) <= 1.002
    (x0, x1), (y0, y1) = sorted(xs), sorted(ys)
    if min(x1, 100) > max(x0, 0) and min(y1, 80) > max(y0, 0):
        (boxed,) = fit_prompts([manifest_prompt(box_xyxy=(x0, y0, x1, y1))], 100, 80)
        assert boxed.box_xyxy == (max(x0, 0), max(y0, 0), min(x1, 100), min(y1, 80))


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"box_xyxy": (0, 0, 101.5, 9)}, "box_xyxy must fit the frame of 100x80"),
        ({"box_xyxy": (0, 0, float("nan"), 9)}, "box_xyxy must fit the frame of 100x80"),
        ({"box_xyxy": (99.5, 0, 100.5, 9), "frame_index": 1}, None),
        ({"box_xyxy": (100, 0, 101, 9)}, "box_xyxy must fit the frame of 100x80"),
        ({"points_xy": ((-1.5, 3),), "point_labels": (1,)}, "points_xy must fit the frame"),
        ({"points_xy": ((3, float("inf")),), "point_labels": (1,)}, "points_xy must fit"),
        ({"points_xy": ((3, 3),), "point_labels": (0,)}, "must have a box, a mask or a point on"),
        ({"points_xy": ((3, 3),), "point_labels": (0,), "correction": True}, None),
        ({"mask_rle": mask(None)}, "mask_rle must have pixels, got an empty mask"),
        ({"mask_rle": rle.encode(np.ones((100, 81), bool))}, "mask_rle must fit the frame"),
    ],
)
def test_prompts_that_are_refused(values: dict[str, Any], problem: str | None) -> None:
    prompts = [manifest_prompt(**values)]
    if problem is None:
        assert len(fit_prompts(prompts, 100, 80)) == 1
        return
    with pytest.raises(DataError, match=problem) as caught:
        fit_prompts(prompts, 100, 80)
    assert caught.value.kind == "bad_prompt"


def test_negative_points_may_join_a_prompt_of_their_frame() -> None:
    box = manifest_prompt(box_xyxy=(0, 0, 9, 9))
    negative = manifest_prompt(points_xy=((3, 3),), point_labels=(0,))
    assert fit_prompts([box, negative], 100, 80) == (box, negative)


def test_negative_corrections_of_a_shot_without_a_track_are_dropped() -> None:
    box = manifest_prompt(box_xyxy=(0, 0, 9, 9))
    negative = manifest_prompt(
        frame_index=30, points_xy=((3, 3),), point_labels=(0,), correction=True
    )
    assert prompts_within([box, negative], 0, 40) == (box, negative)
    assert prompts_within([box, negative], 20, 40) == ()


def masked(size: object, mask: Any) -> Prompt:
    text = rle.to_text({"size": size, "counts": rle.encode(mask)})
    return Prompt(object_id=1, frame_index=2, mask_rle=text)


def test_the_size_of_a_mask_is_compared_with_the_video() -> None:
    mask = np.zeros((30, 40), np.bool_)
    mask[5:9, 10:20] = True
    (fitted,) = fit_prompts([masked([30, 40], mask)], 40, 30)
    assert fitted.mask_rle == rle.encode(mask), "tables have the counts alone"
    for size in ([40, 30], [20, 60], [0, 0]):
        with pytest.raises(DataError) as caught:
            fit_prompts([masked(size, mask)], 40, 30)
        assert caught.value.kind == "bad_prompt"
        assert str(caught.value) == (
            "prompt of object 1 on frame 2: mask_rle must fit the frame of 40x30, got a mask with "
            f"the size {size}, which is [height, width]"
        )
