"""What to try again, how long, and how often it was: stores refuse, stall and break off.

A request to S3 is tried again by s3fs, which is told here what is worth it; an operation made of
many requests, or a server that is away for a moment, is borne by `with_retries`. Both are counted
for the run's summary. (delta-rs tries its requests again by itself, uncounted.)
"""

import io
import logging
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from pvtt_flow.storage.store_errors import is_transient

T = TypeVar("T")

RETRY_DEADLINE_S = 30.0


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


def with_retries(action: Callable[[], T]) -> T:
    """What `action` returns; passing errors are borne for a while. It must bear repetition."""
    tries = Retrying(
        retry=retry_if_exception(is_transient),
        wait=wait_random_exponential(multiplier=0.2, max=5),
        stop=stop_after_delay(RETRY_DEADLINE_S),
        before_sleep=lambda _: RETRIES.add(),
        reraise=True,
    )
    return tries(action)


def s3_options() -> dict[str, Any]:
    """Arguments for an s3fs whose retries are counted here."""
    import s3fs.core

    s3fs.core.set_custom_error_handler(is_transient)
    s3fs.core.logger.setLevel(logging.DEBUG)
    s3fs.core.logger.addFilter(_count_retries)
    # One layer of retries is enough, and botocore's cannot be counted.
    return {"config_kwargs": {"retries": {"total_max_attempts": 1}}}


def _count_retries(record: logging.LogRecord) -> bool:
    """s3fs tells of its retries in debug records alone; none of those goes any further."""
    if record.levelno > logging.DEBUG:
        return True
    cause = record.args[0] if isinstance(record.args, tuple) and record.args else None
    if isinstance(cause, BaseException) and is_transient(cause):
        RETRIES.add()
    return False


class RetryingStream(io.RawIOBase):
    """Read another stream and repeat reads that fail; such a read must not move the position."""

    def __init__(self, inner: Any, *, owns: bool = False) -> None:
        """Wrap `inner`; `owns` closes it together with this stream."""
        self._inner = inner
        self._owns = owns

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position, in bytes."""
        return int(self._inner.tell())

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move to a position and return it, in bytes."""
        return int(self._inner.seek(offset, whence))

    def readinto(self, buffer: Any, /) -> int:
        """Fill the buffer as far as there is data; return the number of bytes."""
        view = memoryview(buffer).cast("B")
        data = with_retries(lambda: self._inner.read(len(view)))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close the stream, and the inner one if it is owned."""
        if self._owns and not self.closed:
            self._inner.close()
        super().close()
