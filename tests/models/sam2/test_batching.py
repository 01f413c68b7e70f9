"""Smaller batches when the device's memory runs out."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from pvtt_flow.errors import ConfigError, DataError
from pvtt_flow.models.sam2.batching import BatchSizer
from pvtt_flow.models.sam2.memory_bank import MemoryBank
from pvtt_flow.models.sam2.model import Sam2
from pvtt_flow.models.sam2.scheduler import FrameResult, Scheduler, ShotFinished
from pvtt_flow.models.sam2.threaded_tracker import ThreadedTracker
from pvtt_flow.models.tracker import TrackerParams
from tests.models.sam2.compare import compare, outputs_by_object
from tests.models.sam2.float32_memories import float32_memories
from tests.models.sam2.pair import Pair
from tests.models.sam2.run_scheduler import run
from tests.models.sam2.shots import Shot, box, clicks, shot, square_box


class Device:
    """Device whose memory holds `capacity` items."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.batches: list[int] = []

    def __call__(self, items: Sequence[int]) -> list[int]:
        if len(items) > self.capacity:
            raise torch.OutOfMemoryError(f"no room for {len(items)}")
        self.batches.append(len(items))
        return [10 * item for item in items]


@pytest.mark.parametrize("capacity", [1, 3, 7])
def test_a_batch_that_does_not_fit_is_run_in_smaller_batches(capacity: int) -> None:
    batch_sizer, device = BatchSizer(max_images=8, max_objects=16), Device(capacity)
    with pytest.warns(RuntimeWarning, match="memory ran out on a batch of"):
        results = batch_sizer.run_images(range(20), device)
    assert results == [10 * item for item in range(20)], "each item once, in order"
    assert batch_sizer.max_images == max(device.batches) <= capacity
    assert batch_sizer.max_objects <= 8
    assert batch_sizer.num_halvings == {7: 1, 3: 2, 1: 3}[capacity]


def test_batches_that_fit_are_not_changed() -> None:
    batch_sizer, device = BatchSizer(max_images=8, max_objects=16), Device(8)
    assert batch_sizer.run_images(range(20), device) == [10 * item for item in range(20)]
    assert device.batches == [8, 8, 4]
    assert batch_sizer.run_objects(range(3), device) == [0, 10, 20]
    sizes = batch_sizer.max_images, batch_sizer.max_objects
    assert (*sizes, batch_sizer.num_halvings) == (8, 16, 0)


def test_no_items_give_no_results() -> None:
    assert BatchSizer(1, 1).run_images([], Device(0)) == []


def test_one_item_that_does_not_fit_is_an_error() -> None:
    with (
        pytest.warns(RuntimeWarning, match="memory ran out"),
        pytest.raises(ConfigError, match=r"\$\.tracker\.weights must fit the device"),
    ):
        BatchSizer(2, 2).run_objects(range(2), Device(0))


def test_other_errors_are_raised() -> None:
    def fail(items: Sequence[int]) -> list[int]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        BatchSizer(2, 2).run_images([1], fail)


def small_shots() -> list[Shot]:
    second = (0, box(1, 50, 40, 70, 70))
    return [shot(4, square_box(0, 0), second), shot(5, square_box(0, 1)), shot(3, square_box(0, 0))]


@pytest.mark.parametrize("method", ["encode_images", "track_step"])
def test_a_scheduler_continues_with_smaller_batches(
    embedded: Pair, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shots, model = small_shots(), embedded.model
    with float32_memories():
        expected = run(model, shots, "both")
        original = getattr(Sam2, method)

        def one_at_a_time(self: Sam2, first: Any, *rest: Any) -> Any:
            size = len(first) if method == "encode_images" else len(first.tokens)
            if size > 1:
                raise torch.OutOfMemoryError("no room for 2")
            return original(self, first, *rest)

        monkeypatch.setattr(Sam2, method, one_at_a_time)
        scheduler = Scheduler(model, 4)
        with pytest.warns(RuntimeWarning, match="half the concurrent shots"):
            actual = run(model, shots, "both", scheduler=scheduler)
    assert scheduler.max_concurrent_shots < 4
    for each, results, expected_results in zip(shots, actual, expected, strict=True):
        expected_outputs = outputs_by_object(each, expected_results)
        compare(outputs_by_object(each, results), expected_outputs).check()


def fail_to_add(monkeypatch: pytest.MonkeyPatch, should_fail: Callable[[MemoryBank], bool]) -> None:
    """Make `MemoryBank.add` run out of memory when `should_fail`."""
    add = MemoryBank.add

    def failing_add(self: MemoryBank, *args: Any) -> None:
        if should_fail(self):
            raise torch.OutOfMemoryError("no room for a row")
        add(self, *args)

    monkeypatch.setattr(MemoryBank, "add", failing_add)


def test_a_shot_whose_rows_do_not_fit_waits(
    embedded: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    shots, model = small_shots(), embedded.model
    with float32_memories():
        expected = run(model, shots, "both")
        fail_to_add(monkeypatch, lambda bank: len(bank) == 3)
        scheduler = Scheduler(model, 4)
        with pytest.warns(RuntimeWarning, match="continuing with 2 concurrent shots"):
            actual = run(model, shots, "both", scheduler=scheduler)
    for each, results, expected_results in zip(shots, actual, expected, strict=True):
        expected_outputs = outputs_by_object(each, expected_results)
        compare(outputs_by_object(each, results), expected_outputs).check()


def test_a_shot_whose_rows_never_fit_is_an_error(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_to_add(monkeypatch, lambda _: True)
    tracker = ThreadedTracker(None, config, TrackerParams(device="cpu"))
    with (
        pytest.warns(RuntimeWarning, match="continuing with 1 concurrent shots"),
        pytest.raises(DataError, match=r"the memories of 1 objects must fit .* no room for a row"),
    ):
        list(tracker.track(shot(3, square_box(0, 0)).prompted))


def test_a_correction_that_does_not_fit_ends_its_shot_alone(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_to_add(monkeypatch, lambda bank: bank.num_conditioning == 2)
    tracker = ThreadedTracker(None, config, TrackerParams(device="cpu", direction="forward"))
    corrected = shot(6, square_box(0, 0), (3, clicks(0, (30, 30, 1), correction=True)))
    frames: list[int] = []
    with (
        pytest.warns(RuntimeWarning, match="the device's memory ran out"),
        pytest.raises(DataError, match="must fit the device's memory") as caught,
    ):
        frames += (frame.frame_index for frame in tracker.track(corrected.prompted))
    assert (caught.value.kind, frames) == ("over_limit", [0, 3, 6, 9])
    assert len(list(tracker.track(shot(4, square_box(0, 0)).prompted))) == 4


# Operations between two that fail: more than a step of a single object has.
EVERY = 1999


class MemoryRunsOut(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Makes operations of torch run out of memory, before they do anything: `first` and so on."""

    def __init__(self, first: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._first = first
        self.num_operations = 0
        self.num_failures = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        number = self.num_operations
        self.num_operations += 1
        if number % EVERY == self._first:
            self.num_failures += 1
            raise torch.OutOfMemoryError(f"no room for operation {number}, {func}")
        return func(*args, **(kwargs or {}))


def corrected_shots() -> list[Shot]:
    """Shots with a correction in each direction, and objects that start late."""
    return [
        shot(6, square_box(0, 2), (4, clicks(0, (30, 30, 1), correction=True))),
        shot(5, square_box(0, 2), (3, box(1, 50, 40, 70, 70))),
        shot(7, square_box(0, 4), (1, clicks(0, (50, 30, 0), correction=True))),
    ]


class SmallDevice(Scheduler):
    """Scheduler whose device runs out of memory."""

    def __init__(self, model: Sam2, memory: MemoryRunsOut) -> None:
        super().__init__(model, 4)
        self._memory = memory

    def step(self) -> list[FrameResult | ShotFinished]:
        with self._memory:
            return super().step()


@pytest.mark.parametrize("first", range(0, EVERY, 666))
def test_memory_may_run_out_at_any_operation(embedded: Pair, first: int) -> None:
    shots, model = corrected_shots(), embedded.model
    with float32_memories(), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        expected = run(model, shots, "both")
        memory = MemoryRunsOut(first)
        actual = run(model, shots, "both", scheduler=SmallDevice(model, memory))
    assert memory.num_failures >= 3
    for each, results, expected_results in zip(shots, actual, expected, strict=True):
        expected_outputs = outputs_by_object(each, expected_results)
        compare(outputs_by_object(each, results), expected_outputs).check()
