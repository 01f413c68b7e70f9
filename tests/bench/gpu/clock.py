"""Clock of a measurement that must end in time."""

import time


class Clock:
    """Time until a deadline; `time.perf_counter` is its scale."""

    def __init__(self, seconds: float) -> None:
        self._deadline = time.perf_counter() + seconds

    @property
    def remaining_s(self) -> float:
        """Seconds until the deadline, at least 0."""
        return max(0.0, self._deadline - time.perf_counter())

    def part(self, share: float) -> "Clock":
        """Return a clock for this share of the remaining time."""
        return Clock(self.remaining_s * share)
