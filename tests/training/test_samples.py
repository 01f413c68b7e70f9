"""Sample clips: the hand that reaches into one, and what their specifications promise."""

import numpy as np

from pvtt_flow.training.samples import FOLDER, HEIGHT_PX, SAMPLES, WIDTH_PX, _with_hand


def test_a_hand_reaches_over_the_middle_and_withdraws() -> None:
    empty = np.full((9, HEIGHT_PX, WIDTH_PX, 3), 120, np.uint8)
    frames = np.stack(list(_with_hand(iter(empty), 9)))
    drawn = (frames != empty).any(-1)
    assert not drawn[[0, -1]].any()
    assert drawn[4, :, WIDTH_PX // 2].any()
    assert not drawn[4, :, : WIDTH_PX // 4].any()
    areas = drawn.sum((1, 2))
    assert areas[2] < areas[4] > areas[6]


def test_every_sample_ships() -> None:
    assert {path.stem for path in FOLDER.glob("*.mp4")} == set(SAMPLES)
