"""Handle SIGTERM, by which schedulers stop pods and services."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def sigterm_raises(error: BaseException) -> Iterator[None]:
    """Raise an error in the main thread when the process gets SIGTERM inside."""

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 (signal's signature)
        raise error

    previous = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
