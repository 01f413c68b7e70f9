"""Decoder processes that are there for the next video: as many as are needed at once, and no more.

Only operations that need no lock of ours: an iterator that somebody has dropped gives its child
back wherever Python collects it, even in a thread that is taking one.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue

from pvtt_flow.video.worker.process import WorkerProcess


class ProcessPool:
    """Up to `size` children; whoever needs one more waits."""

    def __init__(self, size: int) -> None:
        self._permits: SimpleQueue[None] = SimpleQueue()
        for _ in range(size):
            self._permits.put(None)
        self._idle: deque[WorkerProcess] = deque()

    @contextmanager
    def child(self) -> Iterator[WorkerProcess]:
        """One that nobody else uses meanwhile; kept for the next one who asks."""
        self._permits.get()
        try:
            child = self._kept() or WorkerProcess()
            try:
                yield child
            finally:
                self._idle.append(child)
        finally:
            self._permits.put(None)

    def close(self) -> None:
        """End those that are idle."""
        while self._idle:
            self._idle.pop().kill()

    def _kept(self) -> WorkerProcess | None:
        """The last one used, which is the warmest; those that cannot be used again are ended."""
        while True:
            try:
                child = self._idle.pop()
            except IndexError:
                return None
            if child.usable:
                return child
            child.kill()
