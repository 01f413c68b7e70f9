"""Measurements on a machine that is slow at times."""

import time
from collections.abc import Iterator

from tests.bench.pace import Pace


class Machine:
    """Spins for a millisecond of processor time, or ten while it is slow."""

    def __init__(self) -> None:
        self.is_slow = False

    def work(self) -> None:
        until = time.thread_time() + (0.01 if self.is_slow else 0.001)
        while time.thread_time() < until:
            pass


def test_a_steady_machine_is_measured_once() -> None:
    pace = Pace(Machine().work)
    assert pace.steadily(lambda: 7) == 7
    assert pace.num_repeats == pace.num_disturbed == 0


def test_what_a_slow_machine_measured_is_thrown_away() -> None:
    machine = Machine()
    pace = Pace(machine.work)
    speeds: Iterator[bool] = iter([True, False, False])

    def measure() -> bool:
        machine.is_slow = next(speeds)
        time.sleep(0.5)
        return machine.is_slow

    assert not pace.steadily(measure)
    # The second one began on a slow machine.
    assert pace.num_repeats == 2
    assert pace.num_disturbed == 0


def test_a_machine_that_stays_slow_is_told() -> None:
    machine = Machine()
    pace = Pace(machine.work)
    machine.is_slow = True
    assert pace.steadily(lambda: 7) == 7
    assert pace.num_disturbed == 1
