"""Measurements on a machine that is slow at times."""

from collections.abc import Iterator

from tests.bench.pace import Pace


class Machine:
    """Machine with a clock of its own: work takes a millisecond, or ten while it is slow."""

    def __init__(self) -> None:
        self.is_slow = False
        self._now_s = 0.0

    def work(self) -> None:
        self._now_s += 0.01 if self.is_slow else 0.001

    def clock(self) -> float:
        return self._now_s

    def pace(self) -> Pace:
        return Pace(self.work, self.clock)


def test_a_steady_machine_is_measured_once() -> None:
    pace = Machine().pace()
    assert pace.steadily(lambda: 7) == 7
    assert pace.num_repeats == pace.num_disturbed == 0


def test_what_a_slow_machine_measured_is_thrown_away() -> None:
    machine = Machine()
    pace = machine.pace()
    speeds: Iterator[bool] = iter([True, False, False])

    def measure() -> bool:
        machine.is_slow = next(speeds)
        return machine.is_slow

    assert not pace.steadily(measure)
    # The second one began on a slow machine.
    assert pace.num_repeats == 2
    assert pace.num_disturbed == 0


def test_a_machine_that_stays_slow_is_told() -> None:
    machine = Machine()
    pace = machine.pace()
    machine.is_slow = True
    assert pace.steadily(lambda: 7) == 7
    assert pace.num_disturbed == 1


def test_a_machine_that_is_slow_in_the_middle_is_noticed() -> None:
    machine = Machine()
    pace = machine.pace()
    attempts = iter(range(9))

    def measure() -> int:
        attempt = next(attempts)
        machine.is_slow = attempt == 0
        # Until the watcher has seen it.
        seen = machine.clock()
        while machine.is_slow and machine.clock() < seen + 0.01:
            pass
        machine.is_slow = False
        return attempt

    assert pace.steadily(measure) == 1
    assert pace.num_repeats == 1
