import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pvtt_flow.video.shot_detection.block_matching import motion_compensated_residual
from tests.video.scenes import scene


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 50), st.integers(-30, 30), st.integers(-15, 15), st.floats(0.4, 1.0),
    st.integers(0, 40),
)  # fmt: skip
def test_what_has_moved_or_is_lit_otherwise_is_not_new(
    seed: int, dx: int, dy: int, contrast: float, brightness: int
) -> None:
    (picture,) = scene(seed, 1)
    # What comes in at the border is new: it is left out here by rolling little of it in.
    moved = np.roll(picture, (dy // 5, dx // 5), (0, 1))
    assert (
        motion_compensated_residual(
            picture, (contrast * moved + brightness).clip(0, 255).astype(np.uint8)
        )
        < 0.5
    )


@pytest.mark.parametrize("seed", range(8))
def test_another_scene_is_new(seed: int) -> None:
    (one,), (other,) = scene(seed, 1), scene(seed + 20, 1)
    assert motion_compensated_residual(one, other) > 0.5


def test_blank_pictures() -> None:
    black, white = np.zeros((72, 128, 3), np.uint8), np.full((72, 128, 3), 255, np.uint8)
    (picture,) = scene(1, 1)
    assert motion_compensated_residual(black, white) == 0
    assert motion_compensated_residual(picture, black) == 0, (
        "a blank picture has no detail to be new"
    )
    assert motion_compensated_residual(black, picture) > 0.5
