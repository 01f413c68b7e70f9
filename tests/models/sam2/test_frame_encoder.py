"""Frames that are encoded before they are tracked, to fill batches."""

import pytest
import torch

from pvtt_flow.models.sam2.model import Sam2
from pvtt_flow.models.sam2.scheduler import Scheduler
from tests.models.sam2.compare import compare, outputs_by_object
from tests.models.sam2.float32_memories import float32_memories
from tests.models.sam2.pair import Pair
from tests.models.sam2.run_scheduler import run
from tests.models.sam2.shots import ON, Shot, box, clicks, shot, square_box


def shots() -> list[Shot]:
    """Shots with a late object, a backward pass and a correction."""
    return [
        shot(9, square_box(0, 0)),
        shot(6, square_box(0, 2), (3, box(1, 50, 40, 70, 70))),
        shot(8, square_box(0, 1), (4, clicks(0, (30, 30, ON), correction=True))),
    ]


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of images that are encoded together."""
    sizes: list[int] = []
    encode = Sam2.encode_images

    def counted(self: Sam2, images: torch.Tensor) -> object:
        sizes.append(len(images))
        return encode(self, images)

    monkeypatch.setattr(Sam2, "encode_images", counted)
    return sizes


def check(pair: Pair, scheduler: Scheduler) -> None:
    with float32_memories():
        found = run(pair.model, shots(), "both", scheduler=scheduler)
        for each, results in zip(shots(), found, strict=True):
            compare(outputs_by_object(each, results), pair.expected(each, "both")).check()


def test_batches_are_filled_with_frames_that_wait(embedded: Pair, batches: list[int]) -> None:
    check(embedded, Scheduler(embedded.model, 2, encode_at_once=8))
    filled = list(batches)
    batches.clear()
    check(embedded, Scheduler(embedded.model, 2, encode_at_once=1))
    # Prompted frames of two shots are three.
    assert (max(filled), max(batches)) == (8, 3)
    assert sum(filled) == sum(batches), "no frame is encoded twice"
    assert len(filled) < len(batches) / 1.5


def test_where_only_the_frames_of_a_step_fit(
    embedded: Pair, batches: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = Sam2.encode_images

    def small(self: Sam2, images: torch.Tensor) -> object:
        if len(images) > 5:
            raise torch.OutOfMemoryError("no room for 6 images")
        return encode(self, images)

    monkeypatch.setattr(Sam2, "encode_images", small)
    scheduler = Scheduler(embedded.model, 3, encode_at_once=8)
    check(embedded, scheduler)
    assert max(batches) <= 5
    assert scheduler.max_concurrent_shots == 3, "shots are not fewer for it"
