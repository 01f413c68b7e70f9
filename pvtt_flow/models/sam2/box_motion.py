"""Motion of a box: a Kalman filter with constant velocity.

Measured are the center's x and y, the aspect ratio and the height, as in DeepSORT
(https://arxiv.org/abs/1703.07402) and SAMURAI (yangchris11/samurai, sam2/utils/kalman_filter.py),
whose noise this has. All of its noise is independent, so the filter of eight numbers is four
filters of two, a value and its velocity.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import PlainSerializer, PlainValidator


def _four(values: Any) -> NDArray[np.float64]:
    return np.array(values, np.float64).reshape(4)


# JSON keeps each digit of a float64.
_Four = Annotated[NDArray[np.float64], PlainValidator(_four), PlainSerializer(np.ndarray.tolist)]
# Standard deviations in heights of the box, and of the aspect ratio and of its velocity.
_POSITION, _VELOCITY = 1 / 20, 1 / 160
_ASPECT, _ASPECT_VELOCITY, _MEASURED_ASPECT = 1e-2, 1e-5, 1e-1


@dataclass(frozen=True, slots=True, eq=False)
class BoxMotion:
    """State of the filter; each array is float64 (4,): x, y, aspect ratio, height."""

    value: _Four
    velocity: _Four
    value_variance: _Four
    covariance: _Four
    """Covariance of each value and its velocity."""
    velocity_variance: _Four

    @property
    def box_xyxy(self) -> NDArray[np.float64]:
        """Box, float64 (4,)."""
        _, _, aspect, height = self.value
        center, half = self.value[:2], np.array([aspect * height, height]) / 2
        return np.concatenate([center - half, center + half])

    def predict(self) -> "BoxMotion":
        """Return the state one frame later."""
        height = self.value[3]
        return BoxMotion(
            value=self.value + self.velocity,
            velocity=self.velocity,
            value_variance=self.value_variance
            + 2 * self.covariance
            + self.velocity_variance
            + _variances(height, _POSITION, _ASPECT),
            covariance=self.covariance + self.velocity_variance,
            velocity_variance=self.velocity_variance
            + _variances(height, _VELOCITY, _ASPECT_VELOCITY),
        )

    def update(self, box_xyxy: Sequence[float]) -> "BoxMotion":
        """Return the state after a box was measured on the predicted frame."""
        noise = _variances(self.value[3], _POSITION, _MEASURED_ASPECT)
        error = _measure(box_xyxy) - self.value
        gain = self.value_variance / (self.value_variance + noise)
        velocity_gain = self.covariance / (self.value_variance + noise)
        return BoxMotion(
            value=self.value + gain * error,
            velocity=self.velocity + velocity_gain * error,
            value_variance=(1 - gain) * self.value_variance,
            covariance=(1 - gain) * self.covariance,
            velocity_variance=self.velocity_variance - velocity_gain * self.covariance,
        )


def start_motion(box_xyxy: Sequence[float]) -> BoxMotion:
    """Return the state at an object's first box, at rest."""
    value = _measure(box_xyxy)
    return BoxMotion(
        value=value,
        velocity=np.zeros(4),
        value_variance=_variances(value[3], 2 * _POSITION, _ASPECT),
        covariance=np.zeros(4),
        velocity_variance=_variances(value[3], 10 * _VELOCITY, _ASPECT_VELOCITY),
    )


def _measure(box_xyxy: Sequence[float]) -> _Four:
    x0, y0, x1, y1 = box_xyxy
    return np.array([(x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) / (y1 - y0), y1 - y0])


def _variances(height: float, heights: float, aspect: float) -> _Four:
    """Return the variances of noise of so many heights, and of that of the aspect ratio."""
    return np.array([heights * height, heights * height, aspect, heights * height]) ** 2
