"""Pool of worker processes: started when needed, kept for the next video, limited in number.

Uses no lock of its own: Python may collect a dropped iterator anywhere, also in a thread that is
just taking a process, and the iterator then returns its process to the pool.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue

from pvtt_flow.video.worker.process import WorkerProcess

# A process takes about 60 MB while it decodes; further shots wait.
_MAX_PROCESSES = 32


class ProcessPool:
    """Up to `size` worker processes; a caller beyond that waits for one."""

    def __init__(self, size: int) -> None:
        """Create an empty pool."""
        self._permits: SimpleQueue[None] = SimpleQueue()
        for _ in range(size):
            self._permits.put(None)
        self._idle: deque[WorkerProcess] = deque()

    @contextmanager
    def borrow(self) -> Iterator[WorkerProcess]:
        """Borrow an idle process, or start one; it returns to the pool on exit."""
        self._permits.get()
        try:
            process = self._pop_idle() or WorkerProcess()
            try:
                yield process
            finally:
                self._idle.append(process)
        finally:
            self._permits.put(None)

    def close(self) -> None:
        """End the idle processes."""
        while self._idle:
            self._idle.pop().kill()

    def _pop_idle(self) -> WorkerProcess | None:
        """Take the process used last, whose caches are warm; end processes that are unusable."""
        while True:
            try:
                process = self._idle.pop()
            except IndexError:
                return None
            if process.is_usable:
                return process
            process.kill()


SHARED_POOL = ProcessPool(_MAX_PROCESSES)
"""Pool of this process: workers started for one task are there for the next one."""
