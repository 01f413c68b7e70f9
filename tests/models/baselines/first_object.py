"""Property of every network: frames before the first object change nothing."""

import numpy as np

from pvtt_flow.models.baselines.propagation import Propagator
from tests.models.baselines.seeded import clip


def assert_frames_before_it_leave_no_memory(start: Propagator) -> None:
    """Compare a pass that sees a frame without objects first with one that does not."""
    frames, masks = clip(3)
    late, early = start(), start()
    assert late.step(frames[0], {}) == {}
    for position, given in ((1, masks[1]), (2, {})):
        expected = early.step(frames[position], given)
        found = late.step(frames[position], given)
        assert list(found) == list(expected) == [7, 3]
        assert all(np.array_equal(found[i], expected[i]) for i in found)
