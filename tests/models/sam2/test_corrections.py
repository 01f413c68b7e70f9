"""Sameness of clicks on frames that have been tracked: they count as prompted from then on.

The official predictor does that when asked to, with `add_all_frames_to_correct_as_cond`.
"""

from collections.abc import Sequence

import pytest

from pvtt_flow.types import Prompt
from tests.models.sam2.compare import sights
from tests.models.sam2.pair import Pair
from tests.models.sam2.run_engine import Direction, run
from tests.models.sam2.shots import OFF, ON, box, clicks, mask_of, shot, square_box

ONE = clicks(0, (34, 32, ON), correction=True)
TWO = clicks(0, (34, 32, ON), (70, 50, OFF), correction=True)
LATER = clicks(0, (45, 40, OFF), correction=True)

CASES: dict[str, tuple[int, Direction, Sequence[tuple[int, Prompt]]]] = {
    "one click": (8, "forward", [square_box(0, 0), (4, ONE)]),
    "two clicks": (8, "forward", [square_box(0, 0), (4, TWO)]),
    "on the next frame": (5, "forward", [square_box(0, 0), (1, ONE)]),
    "on the last frame": (5, "forward", [square_box(0, 0), (4, TWO)]),
    "two corrections": (14, "forward", [square_box(0, 0), (4, ONE), (9, LATER)]),
    "in a row": (10, "forward", [square_box(0, 1), (4, TWO), (5, ONE)]),
    "past the memory": (26, "forward", [(2, mask_of(0, 2)), (20, ONE)]),
    "between two prompts": (12, "forward", [square_box(0, 0), (4, TWO), square_box(0, 8)]),
    "going on to go back": (24, "both", [square_box(0, 7), (10, ONE), (22, LATER)]),
    "while going back": (12, "both", [square_box(0, 7), (4, ONE), (2, LATER)]),
    "on both sides": (12, "both", [square_box(0, 5), (8, TWO), (3, ONE)]),
    "backward": (9, "backward", [square_box(0, 7), (4, ONE)]),
    "backward, of two prompts": (9, "backward", [square_box(0, 2), square_box(0, 7), (4, TWO)]),
}


@pytest.mark.parametrize("case", CASES)
def test_a_corrected_object(embedded: Pair, case: str) -> None:
    num_frames, direction, placed = CASES[case]
    embedded.difference([shot(num_frames, *placed)], direction).check()


def test_corrections_beside_other_objects(untrained: Pair) -> None:
    """One object is corrected, and moves from batch to batch, while others of its shot and of
    another go on."""
    corrected = shot(
        12, square_box(0, 0), (3, ONE), (7, LATER), (0, box(1, 50, 40, 70, 70)), square_box(2, 5)
    )
    other = shot(9, square_box(0, 2), (4, TWO), square_box(1, 0), seed=5)
    untrained.difference([corrected, other], "both").check()


def test_a_correction_changes_what_follows(embedded: Pair) -> None:
    with_it = shot(8, square_box(0, 0), (4, TWO))
    without = shot(8, square_box(0, 0))
    first, second = (
        sights(each, seen)
        for each, seen in zip(
            (with_it, without), run(embedded.model, [with_it, without], "forward"), strict=True
        )
    )
    for position in range(8):
        changed = (first[0, position].logits - second[0, position].logits).abs().max() > 1e-2
        assert changed == (position >= 4)
