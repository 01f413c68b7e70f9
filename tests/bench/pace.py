"""Measurements that are repeated where the host slowed the machine down.

Some hosts stall their guests: on one, a product of matrices took ten times as long for 2 to 20
seconds, four times in 207 s, while the other core was busy, and the guest's clock of stolen time
showed nothing. A thread beside the measurement does a millisecond of work five times a second. It
reads its own processor time, which a stall stretches, and other threads and processes do not.
"""

import math
import threading
import time
from collections.abc import Callable
from statistics import fmean
from typing import TypeVar

import numpy as np

T = TypeVar("T")
_PAUSE_S = 0.2
_SLOW = 4.0
"""Times the shortest time that the work has taken. A stall is tenfold; busy cores that share caches
and execution units doubled it."""
_MAX_SLOW_SHARE = 0.05
_MAX_REPEATS = 2


class Pace:
    """Repeats measurements during which the machine was slow, a few times at most."""

    def __init__(
        self,
        work: Callable[[], object] | None = None,
        clock: Callable[[], float] = time.thread_time,
    ) -> None:
        """Learn how fast the machine can be; `work` takes about a millisecond of the clock."""
        numbers = np.random.default_rng(0).random(20_000, np.float32)
        # Sorting takes one thread; a product would take several.
        self._work = work or (lambda: np.sort(numbers))
        self._clock = clock
        self._best_s = math.inf
        self.num_repeats = 0
        """Measurements that were thrown away."""
        self.num_disturbed = 0
        """Measurements that were kept although the machine was slow."""
        for _ in range(50):
            self._beat()

    def steadily(self, measure: Callable[[], T]) -> T:
        """Measure; once more while the machine was slow for a twentieth of the time."""
        for repeat in range(_MAX_REPEATS + 1):
            result, slow_share = self._beside(measure)
            if slow_share <= _MAX_SLOW_SHARE:
                return result
            self.num_repeats += repeat < _MAX_REPEATS
        self.num_disturbed += 1
        return result

    def _beside(self, measure: Callable[[], T]) -> tuple[T, float]:
        """Return the measurement, and the share of beats that were slow."""
        beats = [self._beat()]
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(_PAUSE_S):
                beats.append(self._beat())

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            result = measure()
        finally:
            ended.set()
            watcher.join()
        beats.append(self._beat())
        return result, fmean(beat > _SLOW * self._best_s for beat in beats)

    def _beat(self) -> float:
        """Return the processor time of the work, in seconds."""
        started = self._clock()
        self._work()
        seconds = self._clock() - started
        self._best_s = min(self._best_s, seconds)
        return seconds
