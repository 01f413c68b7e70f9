"""Corrections of tracked frames, which become conditioning frames.

The official predictor does that with `add_all_frames_to_correct_as_cond`.
"""

from collections.abc import Sequence

import pytest

from pvtt_flow.types import Prompt
from tests.models.sam2.compare import outputs_by_object
from tests.models.sam2.pair import Pair
from tests.models.sam2.run_scheduler import Direction, run
from tests.models.sam2.shots import OFF, ON, box, clicks, mask_of, shot, square_box

ONE_POINT = clicks(0, (34, 32, ON), correction=True)
TWO_POINTS = clicks(0, (34, 32, ON), (70, 50, OFF), correction=True)
LATER = clicks(0, (45, 40, OFF), correction=True)

CASES: dict[str, tuple[int, Direction, Sequence[tuple[int, Prompt]]]] = {
    "one point": (8, "forward", [square_box(0, 0), (4, ONE_POINT)]),
    "two points": (8, "forward", [square_box(0, 0), (4, TWO_POINTS)]),
    "on the next frame": (5, "forward", [square_box(0, 0), (1, ONE_POINT)]),
    "on the last frame": (5, "forward", [square_box(0, 0), (4, TWO_POINTS)]),
    "two corrections": (14, "forward", [square_box(0, 0), (4, ONE_POINT), (9, LATER)]),
    "in a row": (10, "forward", [square_box(0, 1), (4, TWO_POINTS), (5, ONE_POINT)]),
    "older than the memory": (26, "forward", [(2, mask_of(0, 2)), (20, ONE_POINT)]),
    "between two prompts": (12, "forward", [square_box(0, 0), (4, TWO_POINTS), square_box(0, 8)]),
    "forward pass, before a backward pass": (
        24,
        "both",
        [square_box(0, 7), (10, ONE_POINT), (22, LATER)],
    ),
    "backward pass": (12, "both", [square_box(0, 7), (4, ONE_POINT), (2, LATER)]),
    "both passes": (12, "both", [square_box(0, 5), (8, TWO_POINTS), (3, ONE_POINT)]),
    "backward": (9, "backward", [square_box(0, 7), (4, ONE_POINT)]),
    "backward, two prompts": (9, "backward", [square_box(0, 2), square_box(0, 7), (4, TWO_POINTS)]),
}


@pytest.mark.parametrize("case", CASES)
def test_a_corrected_object_equals_the_official_one(embedded: Pair, case: str) -> None:
    num_frames, direction, placed = CASES[case]
    embedded.difference([shot(num_frames, *placed)], direction).check()


def test_corrections_do_not_change_other_objects(untrained: Pair) -> None:
    """A corrected object moves from bank to bank, while objects of two shots are tracked."""
    corrected = shot(
        12,
        square_box(0, 0),
        (3, ONE_POINT),
        (7, LATER),
        (0, box(1, 50, 40, 70, 70)),
        square_box(2, 5),
    )
    other = shot(9, square_box(0, 2), (4, TWO_POINTS), square_box(1, 0), seed=5)
    untrained.difference([corrected, other], "both").check()


def test_a_correction_changes_later_frames(embedded: Pair) -> None:
    corrected = shot(8, square_box(0, 0), (4, TWO_POINTS))
    uncorrected = shot(8, square_box(0, 0))
    shots = [corrected, uncorrected]
    first, second = (
        outputs_by_object(each, results)
        for each, results in zip(shots, run(embedded.model, shots, "forward"), strict=True)
    )
    for position in range(8):
        changed = (first[0, position].logits - second[0, position].logits).abs().max() > 1e-2
        assert changed == (position >= 4)
