"""Summaries of probabilities, as they were recorded from the official code."""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pvtt_flow.models.baselines.propagation import Propagation

# Elements of nearly the same similarity or usage may change places in the last bits of a machine:
# weights that change by 1e-6 change these by up to 3e-4. The effects of other settings are larger.
TOLERANCE = 2e-3
POINTS = (18, 18), (45, 70), (32, 50)
Masks = dict[int, NDArray[np.bool_]]


def summary(probability: NDArray[np.float32]) -> list[float]:
    points = [probability[point] for point in POINTS]
    return [float(v) for v in (probability.mean(), probability.std(), *points)]


def assert_recorded(
    recorded: Path,
    propagation: Propagation,
    frames: list[NDArray[np.uint8]],
    given: dict[int, Masks],
) -> None:
    """Compare each frame with what was recorded."""
    expected = json.loads(recorded.read_text())["frames"]
    assert len(expected) == len(frames)
    for position, (frame, values) in enumerate(zip(frames, expected, strict=True)):
        found = propagation.step(frame, given.get(position, {}))
        assert {str(object_id) for object_id in found} == values.keys(), position
        for object_id, probability in found.items():
            np.testing.assert_allclose(
                summary(probability),
                values[str(object_id)],
                atol=TOLERANCE,
                err_msg=f"frame {position}",
            )
