"""Kernels for the attention to memories, and what happens where one fails."""

import warnings
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from pvtt_flow.models.sam2.attention_kernels import (
    BY_OBJECT,
    KERNELS,
    TORCH,
    ChosenKernels,
    Kernel,
    kernel_named,
)
from pvtt_flow.models.sam2.kernel_choice import AttentionInputs, AttentionShape

CPU = torch.device("cpu")
SHAPE = AttentionShape(3, num_queries=16, num_keys=40, channels=32, value_channels=8)
# All others need CUDA.
ON_CPU = [BY_OBJECT, TORCH, kernel_named("Flash"), kernel_named("flex")]


def fail(*_: Tensor | None) -> Tensor:
    raise RuntimeError("no plan for these shapes\nand more")


def inputs(*, has_bias: bool) -> AttentionInputs:
    return AttentionInputs.random(SHAPE, CPU, torch.float32, has_bias=has_bias)


@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("kernel", ON_CPU, ids=lambda kernel: kernel.name)
def test_kernels_compute_attention(kernel: Kernel, *, has_bias: bool) -> None:
    given = inputs(has_bias=has_bias)
    found = given.run(kernel.attend)
    assert found.shape == (3, 16, 8)
    assert given.error_of(found) < 1e-6


@pytest.mark.parametrize("kernel", ON_CPU, ids=lambda kernel: kernel.name)
def test_any_bias_is_added(kernel: Kernel) -> None:
    """Pooled memories have one that is not 0 or -inf."""
    given = inputs(has_bias=True)
    assert given.bias is not None
    given = replace(given, bias=given.bias + torch.linspace(-2, 2, 40))
    assert given.error_of(given.run(kernel.attend)) < 1e-6


def test_weights_stand_for_a_bias_whatever_the_scores_are() -> None:
    """Tokens that do not exist have scores far above those that do."""
    given = inputs(has_bias=True)
    assert given.bias is not None
    is_missing = given.bias[0, 0] < 0
    towards = given.queries.mean(1, keepdim=True)
    keys = torch.where(is_missing[:, None], 100 * towards, given.keys)
    given = replace(given, keys=keys)
    scores = given.queries[0] @ keys[0].T / 32**0.5
    assert (scores[:, is_missing].amax(1) - scores[:, ~is_missing].amax(1)).max() > 87
    assert given.error_of(given.run(kernel_named("Flash").attend)) < 1e-4


@pytest.mark.parametrize("kernel", ON_CPU[1:], ids=lambda kernel: kernel.name)
def test_each_kernel_is_part_of_a_graph(kernel: Kernel) -> None:
    chosen = ChosenKernels(TORCH)
    chosen.use(kernel, kernel)
    given = inputs(has_bias=True)

    def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
        return chosen(q, k, v, bias)

    compiled = torch.compile(attend, backend="eager", fullgraph=True)
    with torch.inference_mode():
        assert given.error_of(given.run(compiled)) < 1e-6


def test_the_kernel_depends_on_the_batch() -> None:
    chosen = ChosenKernels(TORCH)
    seen: list[str] = []

    def named(name: str) -> Kernel:
        def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
            seen.append(name)
            return TORCH.attend(q, k, v, bias)

        return Kernel(name, attend)

    assert chosen.described == ""
    chosen.use(named("a"), named("b"))
    for has_bias in (True, False):
        inputs(has_bias=has_bias).run(chosen)
    assert seen == ["a", "b"]
    assert chosen.described == ", attention by a and b"


def test_a_kernel_that_fails_is_given_up_with_a_warning() -> None:
    chosen, given = ChosenKernels(TORCH), inputs(has_bias=True)
    chosen.use(Kernel("bad", fail), TORCH)
    with pytest.warns(
        RuntimeWarning, match="on torch's choice, .* since bad failed: no plan .*es$"
    ):
        assert given.error_of(given.run(chosen)) < 1e-6
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        given.run(chosen)
    assert chosen.num_fallbacks == 1


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("full"), RuntimeError("CUDA error: unspecified launch")]
)
def test_errors_of_the_device_are_not_those_of_a_kernel(error: RuntimeError) -> None:
    def broken(*_: Tensor | None) -> Tensor:
        raise error

    chosen = ChosenKernels(TORCH)
    chosen.use(Kernel("bad", broken), TORCH)
    with pytest.raises(RuntimeError) as caught:
        inputs(has_bias=True).run(chosen)
    assert caught.value is error


def test_what_needs_a_compiler_runs_only_in_a_graph() -> None:
    chosen, given = ChosenKernels(TORCH), inputs(has_bias=True)
    chosen.use(Kernel("generated", fail, needs_compiler=True), TORCH)
    assert given.error_of(given.run(chosen)) < 1e-6
    assert chosen.num_fallbacks == 0


def test_an_unknown_kernel_is_refused() -> None:
    with pytest.raises(ValueError, match=r"one of torch's choice, cuDNN, .*flex, got fast"):
        kernel_named("fast")
    assert [kernel_named(kernel.name) for kernel in KERNELS] == list(KERNELS)
