"""Batches as they come, with a pulse: silence for a while yields an empty batch.

The pulse lets the driver commit what is finished although nothing new has arrived.
"""

import queue
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

# Small: what is read must not run far ahead of what is committed.
_QUEUE_SIZE = 16
# How often a reader with nowhere to put its batch looks whether anyone still wants it.
_LOOK_S = 0.2


@dataclass(frozen=True, slots=True)
class _End:
    """The last thing in the queue: what ended the stream, if it was not its end."""

    error: BaseException | None


def arrivals(stream: Iterable[list[T]], pulse_s: float) -> Iterator[list[T]]:
    """The stream's batches; `[]` whenever `pulse_s` passes without one. Errors are passed on."""
    waiting: queue.Queue[list[T] | _End] = queue.Queue(_QUEUE_SIZE)
    unwanted = threading.Event()
    arguments = (stream, waiting, unwanted)
    threading.Thread(target=_read, args=arguments, name="arrivals", daemon=True).start()
    try:
        while True:
            try:
                item = waiting.get(timeout=pulse_s)
            except queue.Empty:
                item = []
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        unwanted.set()


def _read(
    stream: Iterable[list[T]], waiting: "queue.Queue[list[T] | _End]", unwanted: threading.Event
) -> None:
    end = _End(None)
    try:
        for batch in stream:
            if not _put(waiting, batch, unwanted):
                return
    except BaseException as error:  # noqa: BLE001 (raised again on the other side)
        end = _End(error)
    _put(waiting, end, unwanted)


def _put(
    waiting: "queue.Queue[list[T] | _End]", item: list[T] | _End, unwanted: threading.Event
) -> bool:
    """Whether somebody still wanted it."""
    while not unwanted.is_set():
        try:
            waiting.put(item, timeout=_LOOK_S)
        except queue.Full:
            continue
        return True
    return False
