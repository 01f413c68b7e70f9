"""Iteration over batches with a timeout, at which an empty batch is yielded.

So the driver can commit finished videos while no new result arrives.
"""

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

# Small, so that reading does not run far ahead of committing.
_QUEUE_SIZE = 16
# Interval at which a reader with a full queue checks whether it was cancelled, and the consumer
# whether the reader can still end.
_POLL_S = 0.2
# A cancelled stream ends within seconds, but on a busy machine. It is waited for: a thread that
# calls Ray after `ray.shutdown` starts another Ray, which is Ray's default, beside the next one.
_END_TIMEOUT_S = 60.0
# If it cannot end, as without Ray's control service, the run must not hang on it.
_STUCK_TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True)
class _End:
    """Last item of the queue; `error` is what ended the stream early, if anything did."""

    error: BaseException | None


def batches_with_timeout(
    stream: Iterable[list[T]],
    timeout_s: float,
    cancel: Callable[[], None],
    can_end: Callable[[], bool] = lambda: True,
) -> Generator[list[T]]:
    """Yield the batches of a stream, and `[]` after each `timeout_s` without one.

    Errors of the stream are raised here. When the consumer stops, `cancel` is called; the stream
    must end then, which is waited for, but shortly while `can_end` returns False.
    """
    items: queue.Queue[list[T] | _End] = queue.Queue(_QUEUE_SIZE)
    cancelled = threading.Event()
    arguments = (stream, items, cancelled)
    reader = threading.Thread(target=_read, args=arguments, name="batches", daemon=True)
    reader.start()
    try:
        while True:
            try:
                item = items.get(timeout=timeout_s)
            except queue.Empty:
                item = []
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        cancelled.set()
        cancel()
        _wait_for_end(reader, can_end)


def _wait_for_end(reader: threading.Thread, can_end: Callable[[], bool]) -> None:
    cancelled_s = time.monotonic()
    while reader.is_alive():
        timeout_s = _END_TIMEOUT_S if can_end() else _STUCK_TIMEOUT_S
        if time.monotonic() - cancelled_s > timeout_s:
            return
        reader.join(_POLL_S)


def _read(
    stream: Iterable[list[T]], items: "queue.Queue[list[T] | _End]", cancelled: threading.Event
) -> None:
    end = _End(None)
    try:
        for batch in stream:
            if not _put(items, batch, cancelled):
                return
    except BaseException as error:  # noqa: BLE001 (raised again by the consumer)
        end = _End(error)
    _put(items, end, cancelled)


def _put(
    items: "queue.Queue[list[T] | _End]", item: list[T] | _End, cancelled: threading.Event
) -> bool:
    """Put an item into the queue; return False if reading was cancelled."""
    while not cancelled.is_set():
        try:
            items.put(item, timeout=_POLL_S)
        except queue.Full:
            continue
        return True
    return False
