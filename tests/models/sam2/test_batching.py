"""Smaller batches when the device's memory runs out."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from pvtt_flow.errors import ConfigError
from pvtt_flow.models.sam2.batching import BatchSizer
from pvtt_flow.models.sam2.memory_bank import MemoryBank
from pvtt_flow.models.sam2.model import Sam2
from pvtt_flow.models.sam2.scheduler import Scheduler
from pvtt_flow.models.sam2.threaded_tracker import ThreadedTracker
from pvtt_flow.models.tracker import TrackerParams
from tests.models.sam2.compare import compare, outputs_by_object
from tests.models.sam2.float32_memories import float32_memories
from tests.models.sam2.pair import Pair
from tests.models.sam2.run_scheduler import run
from tests.models.sam2.shots import Shot, box, shot, square_box


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
    with pytest.raises(torch.OutOfMemoryError, match="no room for a row"):
        list(tracker.track(shot(3, square_box(0, 0)).prompted))
