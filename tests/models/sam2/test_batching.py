"""When the device's memory runs out."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from pvtt_flow.errors import ConfigError
from pvtt_flow.models.sam2.batching import Budget
from pvtt_flow.models.sam2.model import Sam2
from pvtt_flow.models.sam2.scheduler import Engine
from tests.models.sam2.compare import compare, sights
from tests.models.sam2.float32_memories import unrounded
from tests.models.sam2.pair import Pair
from tests.models.sam2.run_engine import run
from tests.models.sam2.shots import Shot, box, shot, square_box


class Device:
    """Holds so many items at once."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.batches: list[int] = []

    def __call__(self, items: Sequence[int]) -> list[int]:
        if len(items) > self.room:
            raise torch.OutOfMemoryError(f"no room for {len(items)}")
        self.batches.append(len(items))
        return [10 * item for item in items]


@pytest.mark.parametrize("room", [1, 3, 7])
def test_what_does_not_fit_is_done_in_smaller_batches(room: int) -> None:
    budget, device = Budget(images=8, objects=16), Device(room)
    with pytest.warns(RuntimeWarning, match="memory ran out on a batch of"):
        found = budget.of_images(range(20), device)
    assert found == [10 * item for item in range(20)], "every item once, in order"
    assert budget.images == max(device.batches) <= room
    assert budget.objects <= 8
    assert budget.times_shrunk == {7: 1, 3: 2, 1: 3}[room]


def test_what_fits_is_left_alone() -> None:
    budget, device = Budget(images=8, objects=16), Device(8)
    assert budget.of_images(range(20), device) == [10 * item for item in range(20)]
    assert device.batches == [8, 8, 4]
    assert budget.of_objects(range(3), device) == [0, 10, 20]
    assert (budget.images, budget.objects, budget.times_shrunk) == (8, 16, 0)


def test_nothing_is_nothing() -> None:
    assert Budget(1, 1).of_images([], Device(0)) == []


def test_one_item_that_does_not_fit_is_the_end() -> None:
    with (
        pytest.warns(RuntimeWarning, match="memory ran out"),
        pytest.raises(ConfigError, match=r"\$\.tracker\.weights must fit the device"),
    ):
        Budget(2, 2).of_objects(range(2), Device(0))


def test_another_error_is_passed_on() -> None:
    def wrong(items: Sequence[int]) -> list[int]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Budget(2, 2).of_images([1], wrong)


def small_shots() -> list[Shot]:
    beside = (0, box(1, 50, 40, 70, 70))
    return [shot(4, square_box(0, 0), beside), shot(5, square_box(0, 1)), shot(3, square_box(0, 0))]


@pytest.mark.parametrize("part", ["encode", "follow"])
def test_an_engine_goes_on_with_less(
    embedded: Pair, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shots, model = small_shots(), embedded.model
    with unrounded():
        expected = run(model, shots, "both")
        plain = getattr(Sam2, part)

        def one_at_a_time(self: Sam2, first: Any, *rest: Any) -> Any:
            count = len(first) if part == "encode" else len(first.tokens)
            if count > 1:
                raise torch.OutOfMemoryError("that is too much")
            return plain(self, first, *rest)

        monkeypatch.setattr(Sam2, part, one_at_a_time)
        engine = Engine(model, 4)
        with pytest.warns(RuntimeWarning, match="half the lanes"):
            found = run(model, shots, "both", engine=engine)
    assert engine.num_lanes < 4
    for each, first, second in zip(shots, found, expected, strict=True):
        compare(sights(each, first), sights(each, second)).check()
