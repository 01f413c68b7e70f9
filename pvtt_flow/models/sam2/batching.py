"""Batch sizes, which are halved when the device's memory runs out."""

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import torch

from pvtt_flow.errors import ConfigError

Item = TypeVar("Item")
Result = TypeVar("Result")


class OutOfMemory(str):
    """Message of a device whose memory ran out."""

    __slots__ = ()


def try_to_fit(run: Callable[[], Result]) -> Result | OutOfMemory:
    """Return the result of `run`, or, if the device's memory runs out, why it did.

    Memory that no tensor uses is then given back to the device.
    """
    try:
        return run()
    except torch.OutOfMemoryError as error:
        message = OutOfMemory(error)
    # Only now: the error's traceback held the tensors that did fit.
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return message


class BatchSizer:
    """Largest batches of images and of objects that the device's memory holds."""

    def __init__(self, max_images: int, max_objects: int) -> None:
        self.max_images = max_images
        self.max_objects = max_objects
        self.num_halvings = 0

    def run_images(
        self, items: Sequence[Item], run: Callable[[Sequence[Item]], Sequence[Result]]
    ) -> list[Result]:
        """Run `run` over `items` in batches of at most `max_images`; return all results in order.

        A batch that raises `torch.OutOfMemoryError` is repeated with half the size, and a single
        item once more, so `run` must have no side effects unless it returns. Raises ConfigError
        when one item does not fit.
        """
        return self._run_in_batches(items, run, lambda: self.max_images)

    def run_objects(
        self, items: Sequence[Item], run: Callable[[Sequence[Item]], Sequence[Result]]
    ) -> list[Result]:
        """Run `run` as `run_images` does, in batches of at most `max_objects`."""
        return self._run_in_batches(items, run, lambda: self.max_objects)

    def _run_in_batches(
        self,
        items: Sequence[Item],
        run: Callable[[Sequence[Item]], Sequence[Result]],
        max_size: Callable[[], int],
    ) -> list[Result]:
        results: list[Result] = []
        num_done = 0
        while num_done < len(items):
            batch = items[num_done : num_done + max_size()]
            done = try_to_fit(partial(run, batch))
            if isinstance(done, OutOfMemory) and len(batch) == 1:
                # The first try has given back what no tensor uses.
                done = try_to_fit(partial(run, batch))
                if isinstance(done, OutOfMemory):
                    raise self._too_large(done)
            if isinstance(done, OutOfMemory):
                self._halve(len(batch))
                continue
            results += done
            num_done += len(batch)
        return results

    def _too_large(self, reason: OutOfMemory) -> ConfigError:
        return ConfigError(
            "$.tracker.weights must fit the device's memory, got out of memory on a batch of "
            f"one (batches were halved {self.num_halvings} times before); take a smaller "
            f"model, lower tracker.max_concurrent_shots, or a device with more memory: {reason}"
        )

    def _halve(self, failed_size: int) -> None:
        self.max_images = max(1, min(self.max_images, failed_size) // 2)
        self.max_objects = max(1, min(self.max_objects, failed_size) // 2)
        self.num_halvings += 1
        warnings.warn(
            f"the device's memory ran out on a batch of {failed_size}: continuing with batches of "
            f"at most {self.max_images} images and {self.max_objects} objects, and half the "
            "concurrent shots",
            RuntimeWarning,
            stacklevel=2,
        )
