"""Waiting for another thread."""

import threading
from collections.abc import Callable

PATIENCE_S = 60


class News:
    """A `wake` that can be waited for."""

    def __init__(self) -> None:
        self._condition = threading.Condition()

    def __call__(self) -> None:
        with self._condition:
            self._condition.notify_all()

    def until(self, condition: Callable[[], bool]) -> None:
        """Waits for a condition that becomes true shortly before or after a `wake`."""
        with self._condition:
            for _ in range(PATIENCE_S * 20):
                if condition():
                    return
                self._condition.wait(1 / 20)
        raise AssertionError(f"not true within {PATIENCE_S} s")
