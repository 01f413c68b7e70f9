"""Choice of the kernel for the attention to memories; the clock is made up."""

import copy
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle

import pytest
import torch
from torch import Tensor

from pvtt_flow.models.sam2.attention_kernels import KERNELS, TORCH, Attend, Kernel, kernel_named
from pvtt_flow.models.sam2.compile import Compiler
from pvtt_flow.models.sam2.kernel_choice import (
    AttentionInputs,
    AttentionShape,
    Choice,
    choose_kernel,
    choose_kernels,
    seconds_of,
)
from pvtt_flow.models.sam2.model import Sam2
from pvtt_flow.models.sam2.tensors import MemoryContext
from tests.models.sam2.pair import Pair

CPU = torch.device("cpu")
SHAPE = AttentionShape(2, num_queries=8, num_keys=24, channels=16, value_channels=4)


def kernel(name: str, attend: Attend = TORCH.attend) -> Kernel:
    return Kernel(name, attend)


def wrong(*args: Tensor | None) -> Tensor:
    return 1.01 * TORCH.attend(*args)  # type: ignore[arg-type]


def fail(*_: Tensor | None) -> Tensor:
    raise ValueError("no such kernel\nhere")


def as_it_is(attend: Attend, _inputs: AttentionInputs) -> Attend:
    return attend


def choose(*kernels: Kernel, ms: Sequence[float], dtype: torch.dtype = torch.float32) -> Choice:
    """Choose by times of which each measurement takes the next."""
    inputs = AttentionInputs.random(SHAPE, CPU, dtype, has_bias=True)
    times: Iterator[float] = cycle(ms)

    def seconds(run: Callable[[], object]) -> float:
        run()
        return next(times) / 1e3

    return choose_kernel(kernels, inputs, as_it_is, seconds)


def test_the_fastest_by_its_median_is_chosen() -> None:
    # In two of five rounds, a is faster.
    ms = [1, 4, 5, 2, 1, 4, 5, 2, 5, 2]
    choice = choose(kernel("a"), kernel("b"), ms=ms)
    assert choice.kernel.name == "b"
    assert choice.milliseconds == {"a": 5, "b": 2}
    assert str(choice) == "b (a 5 ms, b 2 ms)"


def test_the_first_of_about_equal_ones_is_chosen() -> None:
    kernels = kernel("a"), kernel("b")
    assert choose(*kernels, ms=[10.4, 10]).kernel.name == "a"
    assert choose(*kernels, ms=[10.8, 10]).kernel.name == "b"


def test_what_fails_or_is_wrong_is_left_out() -> None:
    choice = choose(kernel("bad", fail), kernel("wrong", wrong), kernel("right"), ms=[9])
    assert choice.kernel.name == "right"
    assert choice.left_out == {"bad": "no such kernel", "wrong": "differs by 0.01"}
    assert str(choice) == "right (right 9 ms; bad: no such kernel; wrong: differs by 0.01)"


def test_bfloat16_may_differ_by_what_it_rounds() -> None:
    choice = choose(kernel("right"), kernel("near", wrong), ms=[9, 1], dtype=torch.bfloat16)
    assert choice.kernel.name == "near"


def test_torch_chooses_where_nothing_is_right() -> None:
    with pytest.warns(RuntimeWarning, match=r"no kernel .* was right, .*{'bad': 'no such kernel'}"):
        assert choose(kernel("bad", fail), ms=[9]).kernel is TORCH


def test_a_broken_device_is_no_wrong_kernel() -> None:
    def broken(*_: Tensor | None) -> Tensor:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    with pytest.raises(RuntimeError, match="illegal memory access"):
        choose(kernel("broken", broken), kernel("right"), ms=[9])


def test_the_shape_is_that_of_full_memories(embedded: Pair) -> None:
    shape = AttentionShape.of(embedded.model, 5)
    tokens = (128 // 16) ** 2
    pointer_tokens = 16 * embedded.model.hidden_dim // embedded.model.memory_dim
    assert (shape.num_objects, shape.num_queries) == (5, tokens)
    assert shape.num_keys == 7 * tokens + pointer_tokens
    channels = embedded.model.hidden_dim + embedded.model.memory_dim
    assert shape.flops == 2 * 5 * tokens * shape.num_keys * channels


def test_a_model_gets_kernels_for_both_kinds_of_batches(embedded: Pair) -> None:
    """On a CPU those that it has: torch's choice and Flash; the others are left out."""
    model = Sam2(copy.deepcopy(embedded.official.predictor))
    with torch.inference_mode():
        choices = choose_kernels(model, 2, torch.float32)
    assert len(choices) == 2
    for choice in choices:
        assert choice.milliseconds.keys() == {"torch's choice", "Flash"}
        assert choice.left_out.keys() == {"cuDNN", "cuDNN with weights", "memory-efficient"}
    assert tokens_of(model) == pytest.approx(tokens_of(embedded.model), abs=1e-4)


def test_kernels_are_tried_as_they_run_in_a_compiled_model(embedded: Pair) -> None:
    """Flex is tried, too; all batches have a bias."""
    model = Sam2(copy.deepcopy(embedded.official.predictor), Compiler(CPU, "eager"))
    kernels = [each for each in KERNELS if each.name in ("torch's choice", "flex")]
    with torch.inference_mode():
        [choice] = choose_kernels(model, 2, torch.float32, kernels)
    assert choice.milliseconds.keys() == {"torch's choice", "flex"}


def test_time_is_that_of_the_run() -> None:
    runs: list[int] = []
    assert seconds_of(CPU, lambda: runs.append(1)) >= 0
    assert runs == [1]
    assert kernel_named("flex").needs_compiler


def tokens_of(model: Sam2) -> list[float]:
    """Return some numbers of what one object reads."""
    generator = torch.Generator().manual_seed(0)
    side, shape = model.grid_side, (1, 7 * model.grid_side**2, model.memory_dim)
    images = torch.randint(256, (1, 128, 128, 3), generator=generator).to(torch.uint8)
    keys, values = (torch.randn(shape, generator=generator) for _ in range(2))
    with torch.inference_mode():
        features = model.encode_images(images)
        context = MemoryContext(keys, values, 7 * side**2, None)
        tokens = model.track_step(model.frame_tokens(features), features, context)[1]
    return tokens[0, ::7, ::11].flatten().tolist()
