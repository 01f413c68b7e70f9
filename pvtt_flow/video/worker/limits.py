"""Limits that the operating system enforces on a decoder process: time for a frame, and memory.

FFmpeg can hang or allocate in C code, where no Python runs. SIGALRM ends the process when a frame
takes too long, and RLIMIT_DATA refuses memory. Signals and rlimits belong to the whole process, so
only `worker.server` uses this module: its process decodes one video at a time, and nothing else.
"""

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from pvtt_flow.video.limits import FrameTimer

# A timer of 0 s is off, and the system counts in microseconds.
_SHORTEST_S = 1e-3


class AlarmTimer(FrameTimer):
    """Timer that ends this process with SIGALRM when a frame takes too long."""

    def __init__(self) -> None:
        """Let SIGALRM end this process."""
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        # The parent may have blocked the signal, and a child inherits its mask.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
        self._timeout_s = 0.0

    def start(self, timeout_s: float) -> None:
        """Start the timer for a video; each frame has `timeout_s` seconds."""
        self._timeout_s = timeout_s
        self.restart()

    def restart(self) -> None:
        """Start the time for the next frame, if the timer is on."""
        if self._timeout_s:
            signal.setitimer(signal.ITIMER_REAL, self._timeout_s)

    def clear(self) -> None:
        """Switch the timer off: no video is open."""
        self._timeout_s = 0.0
        signal.setitimer(signal.ITIMER_REAL, 0)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Pause the timer inside the `with` block."""
        if not self._timeout_s:
            yield
            return
        left_s, _ = signal.setitimer(signal.ITIMER_REAL, 0)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, max(left_s, _SHORTEST_S))


def limit_memory(num_bytes: int) -> None:
    """Refuse this process private memory beyond `num_bytes`, or beyond its hard limit if lower."""
    _, hard_limit = resource.getrlimit(resource.RLIMIT_DATA)
    is_unlimited = hard_limit == resource.RLIM_INFINITY
    soft_limit = num_bytes if is_unlimited else min(num_bytes, hard_limit)
    resource.setrlimit(resource.RLIMIT_DATA, (soft_limit, hard_limit))
