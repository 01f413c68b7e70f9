"""Receipts as they come, with a pulse: silence for a while yields an empty batch.

The pulse lets the driver commit what is finished although nothing new has arrived.
"""

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class _End(Generic[T]):
    """The last thing in the queue, with what ended the stream."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def arrivals(stream: Iterable[list[T]], pulse_s: float) -> Iterator[list[T]]:
    """The stream's batches; `[]` whenever `pulse_s` passes without one. Errors are passed on."""
    # Small: the reader must not run far ahead of what is committed.
    waiting: queue.Queue[list[T] | _End[T]] = queue.Queue(maxsize=16)
    stopped = threading.Event()

    def offer(item: "list[T] | _End[T]") -> None:
        while not stopped.is_set():
            try:
                waiting.put(item, timeout=0.1)
            except queue.Full:
                continue
            return

    def read() -> None:
        try:
            for batch in stream:
                if stopped.is_set():
                    return
                offer(batch)
        except BaseException as error:  # noqa: BLE001 (raised again by the reader of the queue)
            offer(_End(error))
        else:
            offer(_End(None))

    threading.Thread(target=read, name="arrivals", daemon=True).start()
    try:
        while True:
            try:
                item = waiting.get(timeout=pulse_s)
            except queue.Empty:
                yield []
                continue
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        stopped.set()
