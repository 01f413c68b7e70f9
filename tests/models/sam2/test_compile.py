"""Batches of a few sizes for the compiler; what it makes of them is its own affair."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from pvtt_flow.models.sam2.compile import bucket, compiled
from pvtt_flow.models.sam2.model import Sam2
from tests.models.sam2.pair import Pair
from tests.models.sam2.test_equal_to_official import staggered


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiler leaves functions as they are."""

    def unchanged(function: Callable[..., Any], **_: object) -> Callable[..., Any]:
        return function

    monkeypatch.setattr(torch, "compile", unchanged)


def test_buckets_are_powers_of_two() -> None:
    assert [bucket(size) for size in range(1, 10)] == [1, 2, 4, 4, 8, 8, 8, 8, 16]


def test_a_batch_is_padded_and_cut(plain: None) -> None:
    sizes: list[int] = []

    def doubled(x: Tensor, factor: int, nothing: None) -> tuple[Tensor, ...]:
        sizes.append(len(x))
        return factor * x, x[:, 0]

    run = compiled(doubled, torch.device("cpu"))
    for size in range(1, 6):
        x = torch.randn(size, 3)
        twice, first = run(x, 2, None)
        assert torch.equal(twice, 2 * x)
        assert torch.equal(first, x[:, 0])
    assert sizes == [1, 2, 4, 4, 8]


def test_fixed_shapes_change_nothing(embedded: Pair, plain: None) -> None:
    """Room for every memory and pointer in each read, and padded batches."""
    predictor = copy.deepcopy(embedded.official.predictor)
    padded = Pair(Sam2(predictor, compile_steps=True), embedded.official)
    padded.difference(staggered()[1:4], "both").check()


def test_what_cannot_be_compiled_goes_on_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts: list[int] = []

    def broken(*args: Any) -> Any:
        attempts.append(len(args))
        raise RuntimeError("no compiler here")

    monkeypatch.setattr(torch, "compile", lambda *_, **__: broken)

    def half(x: Tensor) -> tuple[Tensor, ...]:
        return (x / 2,)

    run = compiled(half, torch.device("cpu"))
    with pytest.warns(RuntimeWarning, match="half could not be compiled .* no compiler here"):
        assert run(torch.ones(3))[0].tolist() == [0.5] * 3
    assert run(torch.ones(3))[0].tolist() == [0.5] * 3
    assert attempts == [1], "it is tried once"
