"""Apply a function to items with a few threads of this process."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_in_threads(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield results as they become ready; at most two items a core are under way.

    Encoders and decoders work outside of Python's lock, so threads use all cores. After an error,
    items that have begun are finished and others are not begun.
    """
    num_threads = os.cpu_count() or 1
    with ThreadPoolExecutor(num_threads) as pool:
        pending: set[Future[Result]] = set()
        for item in items:
            if len(pending) >= 2 * num_threads:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
            pending.add(pool.submit(function, item))
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
