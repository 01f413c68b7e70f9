import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pvtt_flow.video.shot_detection.block_matching import motion_compensated_residual
from tests.video.scenes import scene


@settings(max_examples=30)
@given(
    st.integers(0, 50), st.integers(-30, 30), st.integers(-15, 15), st.floats(0.4, 1.0),
    st.integers(0, 40),
)  # fmt: skip
def test_motion_and_exposure_leave_little_residual(
    seed: int, dx: int, dy: int, contrast: float, brightness: int
) -> None:
    (image,) = scene(seed, 1)
    # Content that enters at the border is new, so only little of it is rolled in.
    moved = np.roll(image, (dy // 5, dx // 5), (0, 1))
    assert (
        motion_compensated_residual(
            image, (contrast * moved + brightness).clip(0, 255).astype(np.uint8)
        )
        < 0.5
    )


@pytest.mark.parametrize("seed", range(8))
def test_a_new_scene_has_a_large_residual(seed: int) -> None:
    (first,), (second,) = scene(seed, 1), scene(seed + 20, 1)
    assert motion_compensated_residual(first, second) > 0.5


def test_blank_pictures() -> None:
    black, white = np.zeros((72, 128, 3), np.uint8), np.full((72, 128, 3), 255, np.uint8)
    (image,) = scene(1, 1)
    assert motion_compensated_residual(black, white) == 0
    assert motion_compensated_residual(image, black) == 0, "a blank image has no detail"
    assert motion_compensated_residual(black, image) > 0.5
