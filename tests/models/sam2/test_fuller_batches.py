"""Wait for a fuller batch: how long, and for whom."""

from typing import Any
from unittest.mock import Mock

import pytest

from pvtt_flow.models.sam2.fuller_batches import wait_s
from pvtt_flow.models.sam2.scheduler import Scheduler
from tests.models.sam2.pair import Pair

BEGAN_S, MAX_WAIT_S = 10.0, 0.003


def left_ms(num_ready: int, *expected_ms: float, waited_ms: float = 0) -> float:
    """Return milliseconds; frames are expected at times after the beginning."""
    expected_s = [BEGAN_S + ms / 1e3 for ms in expected_ms]
    now_s = BEGAN_S + waited_ms / 1e3
    return 1e3 * wait_s(now_s, BEGAN_S, num_ready, expected_s, MAX_WAIT_S)


def test_as_many_as_are_ready_are_worth_a_wait_until_the_last() -> None:
    assert left_ms(2, 1, 2) == pytest.approx(2)
    assert left_ms(2, 1, 2, waited_ms=0.5) == pytest.approx(1.5)
    assert left_ms(2, 1, 2.5, 2) == pytest.approx(2.5)


def test_fewer_are_not_waited_for() -> None:
    assert left_ms(2, 1) == 0
    assert left_ms(1) == 0
    # After one of two has come, the step begins.
    assert left_ms(2, 2, waited_ms=1) == 0


def test_nobody_waits_for_what_comes_too_late() -> None:
    assert left_ms(1, 3.5) == 0
    assert left_ms(1, 3.5, 2) == pytest.approx(2)
    assert left_ms(1, -4) == 0, "it is late, and may take any time"


def test_a_frame_that_is_a_little_late_may_come_until_the_end() -> None:
    assert left_ms(1, -2) == pytest.approx(3)
    assert left_ms(1, 1, waited_ms=2) == pytest.approx(1)
    assert left_ms(1, 1, waited_ms=3) == 0


def test_a_step_without_frames_waits_elsewhere() -> None:
    assert left_ms(0, 1, 2) == 0


def test_without_a_limit_nobody_waits() -> None:
    assert wait_s(10.0, 10.0, 1, [10.0, 10.001], max_wait_s=0.0) == 0


@pytest.mark.parametrize(
    ("able", "expected"),
    [([True, True], pytest.approx(0.002)), ([False, True], 0), ([True, False], 0)],
)
def test_the_scheduler_counts_shots_that_have_rows(
    embedded: Pair, able: list[bool], expected: Any
) -> None:
    """The first is ready, and the second will be."""
    scheduler = Scheduler(embedded.model, 4)
    ready = Mock(needs_rows=not able[0], expected_s=None)
    coming = Mock(needs_rows=not able[1], expected_s=BEGAN_S + 0.002)
    coming.next_frame.return_value = None
    scheduler._running.extend([ready, coming])
    assert scheduler.wait_s(BEGAN_S, BEGAN_S, MAX_WAIT_S) == expected
