"""How much goes into one batch, and what happens when that is too much."""

import warnings
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from pvtt_flow.errors import ConfigError

Item = TypeVar("Item")
Result = TypeVar("Result")


class Budget:
    """The largest batches of images and of objects; both shrink when memory runs out."""

    def __init__(self, images: int, objects: int) -> None:
        self.images = images
        self.objects = objects
        self.times_shrunk = 0

    def of_images(
        self, items: Sequence[Item], run: Callable[[Sequence[Item]], Sequence[Result]]
    ) -> list[Result]:
        """`run` over `items` in batches of images; it is repeated, smaller, if memory runs out.

        So `run` must leave nothing behind unless it returns.
        """
        return self._in_batches(items, run, lambda: self.images)

    def of_objects(
        self, items: Sequence[Item], run: Callable[[Sequence[Item]], Sequence[Result]]
    ) -> list[Result]:
        """The same in batches of objects."""
        return self._in_batches(items, run, lambda: self.objects)

    def _in_batches(
        self,
        items: Sequence[Item],
        run: Callable[[Sequence[Item]], Sequence[Result]],
        size: Callable[[], int],
    ) -> list[Result]:
        results: list[Result] = []
        done = 0
        while done < len(items):
            batch = items[done : done + size()]
            try:
                results += run(batch)
            except torch.OutOfMemoryError as error:
                self._shrink(len(batch), error)
                continue
            done += len(batch)
        return results

    def _shrink(self, batch: int, error: torch.OutOfMemoryError) -> None:
        if batch == 1:
            raise ConfigError(
                "$.tracker.weights must fit the device, but its memory ran out on a batch of one "
                f"(batches were halved {self.times_shrunk} times before); take a smaller model, "
                f"fewer tracker.lanes, or a device with more memory: {error}"
            ) from error
        self.images = max(1, min(self.images, batch) // 2)
        self.objects = max(1, min(self.objects, batch) // 2)
        self.times_shrunk += 1
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        warnings.warn(
            f"the device's memory ran out on a batch of {batch}: going on with batches of at most "
            f"{self.images} images and {self.objects} objects, and half the lanes",
            RuntimeWarning,
            stacklevel=2,
        )
