"""Repeat storage operations that fail for a moment: stores throttle, stall and break off.

s3fs and delta-rs repeat their single requests. `with_retries` repeats a whole operation after
that, for up to `RETRY_DEADLINE_S`, and logs a warning each time.
"""

import io
import logging
from collections.abc import Callable
from typing import Any, TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_delay,
    wait_random_exponential,
)

from pvtt_flow.storage.store_errors import error_name, is_transient

T = TypeVar("T")

RETRY_DEADLINE_S = 30.0
_LOG = logging.getLogger(__name__)


def with_retries(action: Callable[[], T]) -> T:
    """Call `action` until it succeeds, and return its result.

    `action` must be safe to repeat. Raises its error at once if that is not transient, and else
    after `RETRY_DEADLINE_S`.
    """
    tries = Retrying(
        retry=retry_if_exception(is_transient),
        wait=wait_random_exponential(multiplier=0.2, max=5),
        stop=stop_after_delay(RETRY_DEADLINE_S),
        before_sleep=_log_retry,
        reraise=True,
    )
    return tries(action)


def _log_retry(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    _LOG.warning(
        "a storage operation failed with %s; trying again in %.1f s (attempt %d)",
        error_name(error) if error else "no error",
        state.upcoming_sleep,
        state.attempt_number + 1,
    )


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
