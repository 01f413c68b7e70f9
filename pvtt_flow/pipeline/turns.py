"""Turns of the rows of one process: many together, or one alone."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """Lock that is held by several threads together, or by one alone.

    A row under first suspicion goes before the others. A row during which a process died while it
    ran alone goes after them, so that they are finished when it kills the next process.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._num_together = 0
        self._is_alone = False
        self._waiting: list[tuple[int, int]] = []
        """Deaths and number of each thread that waits to be alone."""
        self._next_number = 0

    @contextmanager
    def together(self) -> Iterator[None]:
        """Wait until no thread is alone, or about to be for the first time."""
        with self._changed:
            self._changed.wait_for(
                lambda: not self._is_alone and not any(deaths == 0 for deaths, _ in self._waiting)
            )
            self._num_together += 1
        try:
            yield
        finally:
            with self._changed:
                self._num_together -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self, num_deaths: int) -> Iterator[None]:
        """Wait until no other thread is inside; threads with fewer deaths go first."""
        with self._changed:
            ticket = (num_deaths, self._next_number)
            self._next_number += 1
            self._waiting.append(ticket)
            self._changed.wait_for(
                lambda: (
                    not self._is_alone and self._num_together == 0 and ticket == min(self._waiting)
                )
            )
            self._waiting.remove(ticket)
            self._is_alone = True
        try:
            yield
        finally:
            with self._changed:
                self._is_alone = False
                self._changed.notify_all()
