"""Objects with a backward pass, against the official predictor."""

import pytest

from pvtt_flow.types import Prompt
from tests.models.sam2.pair import Pair
from tests.models.sam2.run_scheduler import Direction
from tests.models.sam2.shots import OFF, ON, box_and_click, clicks, mask_of, shot, square_box

CASES = {
    "prompted on the second frame": (7, [square_box(0, 1)]),
    "prompted on the last frame": (7, [square_box(0, 6)]),
    "two frames": (2, [square_box(0, 1)]),
    "a point, later a mask": (12, [(3, clicks(0, (26, 30, ON))), (10, mask_of(0, 10))]),
    "points on successive frames": (
        9,
        [(3, clicks(0, (26, 30, ON))), (4, clicks(0, (28, 30, ON), (80, 60, OFF)))],
    ),
    "longer than the memory": (24, [square_box(0, 20)]),
    "prompted among the frames that the backward pass reads": (
        25,
        [square_box(0, 10), square_box(0, 20)],
    ),
    "three prompts": (
        40,
        [square_box(0, 20), (23, box_and_click(0, 23)), (38, mask_of(0, 38))],
    ),
}


@pytest.mark.parametrize("direction", ["backward", "both"])
@pytest.mark.parametrize("case", CASES)
def test_one_object_equals_the_official_one(
    embedded: Pair, case: str, direction: Direction
) -> None:
    num_frames, placed = CASES[case]
    embedded.difference([shot(num_frames, *placed)], direction).check()


def test_both_directions_cover_each_frame(embedded: Pair) -> None:
    difference = embedded.difference([shot(9, square_box(0, 3))], "both")
    assert difference.check().num_outputs == 9


@pytest.mark.parametrize("direction", ["backward", "both"])
def test_objects_that_start_at_different_times(untrained: Pair, direction: Direction) -> None:
    placed: list[tuple[int, Prompt]] = [
        square_box(0, 0),
        square_box(1, 3),
        (10, mask_of(2, 10)),
        square_box(3, 3),
        (12, clicks(3, (40, 30, ON))),
        (17, clicks(4, (52, 30, ON))),
    ]
    untrained.difference([shot(18, *placed), shot(5, *placed[:2])], direction).check()
