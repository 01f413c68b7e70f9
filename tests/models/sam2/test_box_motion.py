"""Kalman filter of a box, against the same filter with full matrices."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pvtt_flow.models.sam2.box_motion import start_motion

Matrix = NDArray[np.float64]
TRANSITION = np.kron([[1, 1], [0, 1]], np.eye(4))
MEASURED = np.eye(4, 8)


def noise(height: float, position: float, aspect: float) -> Matrix:
    return np.array([position * height, position * height, aspect, position * height]) ** 2


def process_noise(height: float) -> Matrix:
    return np.diag(np.concatenate([noise(height, 1 / 20, 1e-2), noise(height, 1 / 160, 1e-5)]))


def xyah(box: tuple[float, ...]) -> Matrix:
    x0, y0, x1, y1 = box
    return np.array([(x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) / (y1 - y0), y1 - y0])


def test_equals_the_filter_with_matrices() -> None:
    rng = np.random.default_rng(0)
    corners = np.cumsum(rng.normal(1, 1, (30, 2)), 0)
    sizes = rng.normal(20, 3, (30, 2))
    boxes = [(x, y, x + w, y + h) for (x, y), (w, h) in zip(corners, sizes, strict=True)]
    motion = start_motion(boxes[0])
    height = boxes[0][3] - boxes[0][1]
    mean = np.concatenate([xyah(boxes[0]), np.zeros(4)])
    covariance = np.diag(
        np.concatenate([noise(height, 2 / 20, 1e-2), noise(height, 10 / 160, 1e-5)])
    )
    for box in boxes[1:]:
        covariance = TRANSITION @ covariance @ TRANSITION.T + process_noise(mean[3])
        mean = TRANSITION @ mean
        motion = motion.predict()
        np.testing.assert_allclose(np.concatenate([motion.value, motion.velocity]), mean)
        innovation = MEASURED @ covariance @ MEASURED.T + np.diag(noise(mean[3], 1 / 20, 1e-1))
        gain = covariance @ MEASURED.T @ np.linalg.inv(innovation)
        mean = mean + gain @ (xyah(box) - MEASURED @ mean)
        covariance = covariance - gain @ innovation @ gain.T
        motion = motion.update(box)
        np.testing.assert_allclose(np.concatenate([motion.value, motion.velocity]), mean)
        np.testing.assert_allclose(motion.value_variance, np.diag(covariance)[:4])
        np.testing.assert_allclose(motion.covariance, np.diag(covariance[:4, 4:]), atol=1e-12)


def test_a_steady_motion_is_predicted() -> None:
    motion = start_motion((0, 10, 20, 40))
    for step in range(1, 40):
        motion = motion.predict().update((3 * step, 10 + step, 3 * step + 20, 40 + step))
    assert motion.predict().box_xyxy == pytest.approx((120, 50, 140, 80), abs=0.5)


def test_a_box_at_rest_stays() -> None:
    assert start_motion((5, 6, 9, 14)).predict().box_xyxy.tolist() == [5, 6, 9, 14]
