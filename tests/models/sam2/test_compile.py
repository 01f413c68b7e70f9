"""Batch sizes that the compiler gets. The compiler itself is not tested."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from pvtt_flow.models.sam2.compile import compile_batched, next_power_of_two
from pvtt_flow.models.sam2.model import Sam2
from tests.models.sam2.pair import Pair
from tests.models.sam2.test_equal_to_official import staggered


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `torch.compile` return functions unchanged."""

    def unchanged(function: Callable[..., Any], **_: object) -> Callable[..., Any]:
        return function

    monkeypatch.setattr(torch, "compile", unchanged)


def test_batch_sizes_are_powers_of_two() -> None:
    assert [next_power_of_two(size) for size in range(1, 10)] == [1, 2, 4, 4, 8, 8, 8, 8, 16]


def test_a_batch_is_padded_and_its_results_are_cut(no_compiler: None) -> None:
    sizes: list[int] = []

    def multiply(x: Tensor, factor: int, _none: None) -> tuple[Tensor, ...]:
        sizes.append(len(x))
        return factor * x, x[:, 0]

    run = compile_batched(multiply, torch.device("cpu"))
    for size in range(1, 6):
        x = torch.randn(size, 3)
        doubled, first = run(x, 2, None)
        assert torch.equal(doubled, 2 * x)
        assert torch.equal(first, x[:, 0])
    assert sizes == [1, 2, 4, 4, 8]


def test_fixed_shapes_give_equal_results(embedded: Pair, no_compiler: None) -> None:
    """Each read has its full number of memories and pointers, and batches are padded."""
    predictor = copy.deepcopy(embedded.official.predictor)
    padded = Pair(Sam2(predictor, compile_steps=True), embedded.official)
    padded.difference(staggered()[1:4], "both").check()


def test_a_function_that_cannot_be_compiled_runs_uncompiled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    attempts: list[int] = []

    def broken(*args: Any) -> Any:
        attempts.append(len(args))
        raise RuntimeError("no compiler here")

    monkeypatch.setattr(torch, "compile", lambda *_, **__: broken)

    def halve(x: Tensor) -> tuple[Tensor, ...]:
        return (x / 2,)

    run = compile_batched(halve, torch.device("cpu"))
    with pytest.warns(RuntimeWarning, match="halve could not be compiled .* no compiler here"):
        assert run(torch.ones(3))[0].tolist() == [0.5] * 3
    assert run(torch.ones(3))[0].tolist() == [0.5] * 3
    assert attempts == [1], "compilation is tried once"
