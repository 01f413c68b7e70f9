"""Waiting for another thread."""

import threading
from collections.abc import Callable

TIMEOUT_S = 60


class Notifier:
    """Callable `notify` whose calls can be waited for."""

    def __init__(self) -> None:
        self._condition = threading.Condition()

    def __call__(self) -> None:
        with self._condition:
            self._condition.notify_all()

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition that becomes true shortly before or after a call."""
        with self._condition:
            for _ in range(TIMEOUT_S * 20):
                if condition():
                    return
                self._condition.wait(1 / 20)
        raise AssertionError(f"not true within {TIMEOUT_S} s")
