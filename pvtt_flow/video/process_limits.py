"""Bounds on a process that decodes: seconds for a frame, and memory.

FFmpeg can hang or grow in C, where no line of Python runs any more, so it is the system that holds
it to them: SIGALRM ends the process when a frame takes too long, and memory past the ceiling is
refused. That would harm a process that does other things as well, so both are off until `enforce`.
"""

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from pvtt_flow.video.limits import Limits

# The alarm is off at 0, and the system counts in microseconds.
_SHORTEST_S = 1e-3


class Bounds:
    """Those of this process; the time for a frame runs while nobody waits for anything else."""

    def __init__(self) -> None:
        self._enforced = False
        self._frame_s = 0.0

    def enforce(self) -> None:
        """From now on. The process must do nothing but decode, one video at a time."""
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        # Masks are inherited, and a blocked alarm wakes nobody.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
        self._enforced = True

    def apply(self, limits: Limits) -> None:
        """A video is about to be opened: the time for its first frame begins."""
        if self._enforced:
            self._frame_s = limits.frame_timeout_s
            self.renew()
            _refuse_memory_past(limits.max_decoder_bytes)

    def renew(self) -> None:
        """A frame is there: the time for the next one begins."""
        if self._frame_s:
            signal.setitimer(signal.ITIMER_REAL, self._frame_s)

    def lift(self) -> None:
        """The video is done with: no frame is waited for."""
        self._frame_s = 0.0
        if self._enforced:
            signal.setitimer(signal.ITIMER_REAL, 0)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Time stands still: for stores, and for whoever takes frames."""
        if not self._frame_s:
            yield
            return
        left_s, _ = signal.setitimer(signal.ITIMER_REAL, 0)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, max(left_s, _SHORTEST_S))


def _refuse_memory_past(num_bytes: int) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    allowed = num_bytes if most == resource.RLIM_INFINITY else min(num_bytes, most)
    resource.setrlimit(resource.RLIMIT_DATA, (allowed, most))


BOUNDS = Bounds()
