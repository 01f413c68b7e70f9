"""What to try again, how long, and how often it was: stores refuse, stall and break off.

A request to S3 is tried again by s3fs, which is told here what is worth it; an operation made of
many requests, or a server that is away for a moment, is borne by `patiently`. Both are counted
for the run's summary. (delta-rs tries its requests again by itself, uncounted.)
"""

import logging
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from pvtt_flow.storage.store_errors import is_passing

T = TypeVar("T")

PATIENCE_S = 30.0


class Tally:
    """How often something was tried again in this process, since anyone asked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0

    def add(self, count: int = 1) -> None:
        """Count one, or what another process has counted."""
        with self._lock:
            self._count += count

    def take(self) -> int:
        """The count, which starts again at 0."""
        with self._lock:
            taken, self._count = self._count, 0
        return taken


RETRIES = Tally()


def patiently(action: Callable[[], T]) -> T:
    """What `action` returns; passing errors are borne for a while. It must bear repetition."""
    tries = Retrying(
        retry=retry_if_exception(is_passing),
        wait=wait_random_exponential(multiplier=0.2, max=5),
        stop=stop_after_delay(PATIENCE_S),
        before_sleep=lambda _: RETRIES.add(),
        reraise=True,
    )
    return tries(action)


def s3_options() -> dict[str, Any]:
    """Arguments for an s3fs whose retries are counted here."""
    import s3fs.core

    s3fs.core.set_custom_error_handler(is_passing)
    s3fs.core.logger.setLevel(logging.DEBUG)
    s3fs.core.logger.addFilter(_count_retries)
    # One layer of retries is enough, and botocore's cannot be counted.
    return {"config_kwargs": {"retries": {"total_max_attempts": 1}}}


def _count_retries(record: logging.LogRecord) -> bool:
    """s3fs tells of its retries in debug records alone; none of those goes any further."""
    if record.levelno > logging.DEBUG:
        return True
    cause = record.args[0] if isinstance(record.args, tuple) and record.args else None
    if isinstance(cause, BaseException) and is_passing(cause):
        RETRIES.add()
    return False
