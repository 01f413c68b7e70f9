"""Part: the kernels that can compute the cross-attention to memories, each on its own.

A frame's T tokens of C channels attend to L keys of C channels, whose values are raw memories of Cm
channels (`memory_attention.py`). Objects with fewer memories than others of their batch have a
bias of -inf where they have none; Flash takes no bias and wants values as wide as keys.
"""

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from statistics import median
from typing import TypeAlias, cast

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.flex_attention import flex_attention

from tests.bench.gpu.bench import Bench
from tests.bench.gpu.plan import Load
from tests.bench.gpu.record import Row
from tests.bench.gpu.worker import Worker

_CHANNELS, _MEMORY_CHANNELS, _POINTER_TOKENS = 256, 64, 64
_NUM_CALLS, _NUM_WARM_UP_CALLS = 10, 3
_NUM_CHECKED_QUERIES = 64


@dataclass(frozen=True, slots=True)
class Inputs:
    """Queries (b, 1, T, C), keys (b, 1, L, C), values (b, 1, L, Cm), bias (b, 1, 1, L) or None."""

    queries: Tensor
    keys: Tensor
    values: Tensor
    bias: Tensor | None


Attend: TypeAlias = Callable[[Inputs], Tensor]
"""Returns (b, 1, T, Cm)."""


def measure(bench: Bench) -> None:
    """Measure each kernel in a process of its own."""
    plan = bench.plan
    for kernel in plan.kernels:
        with Worker(Kernel, kernel, plan.device, plan.size_px // 16, plan.generates_code) as worker:
            for load in plan.attended:
                if load.is_ragged and kernel in WITHOUT_BIAS:
                    continue
                what: Row = {"step": "attention", "kernel": kernel, **asdict(load)}
                bench.attempt(what, partial(_called, worker, load, bench))


def _called(worker: Worker, load: Load, bench: Bench) -> Row:
    return cast("Row", worker.call("measure", load, timeout_s=bench.clock.remaining_s))


class Kernel:
    """Kernel that is measured on random numbers, bfloat16 on CUDA and float32 elsewhere."""

    def __init__(self, name: str, device: str, grid_side: int, generates_code: bool) -> None:  # noqa: FBT001 (of a process)
        self._attend = KERNELS[name](generates_code)
        self._device = torch.device(device)
        self._num_tokens = grid_side**2

    def measure(self, load: Load) -> Row:
        """Return milliseconds, TFLOP/s and the largest difference from float64."""
        inputs = self._inputs(load)
        with torch.inference_mode():
            found = self._attend(inputs)
            seconds = [self._seconds(inputs) for _ in range(_NUM_WARM_UP_CALLS + _NUM_CALLS)]
        seconds_a_call = median(seconds[_NUM_WARM_UP_CALLS:])
        num_keys = inputs.keys.shape[2]
        flops = 2 * load.num_objects * self._num_tokens * num_keys * (_CHANNELS + _MEMORY_CHANNELS)
        return {
            "ms": seconds_a_call * 1e3,
            "tflops_per_s": flops / seconds_a_call / 1e12,
            "max_difference": _difference(inputs, found),
        }

    def _inputs(self, load: Load) -> Inputs:
        generator = torch.Generator(self._device).manual_seed(0)
        num_keys = load.num_memories * self._num_tokens + _POINTER_TOKENS

        def random(num_tokens: int, channels: int) -> Tensor:
            shape = load.num_objects, 1, num_tokens, channels
            dtype = torch.bfloat16 if self._device.type == "cuda" else torch.float32
            return torch.randn(shape, generator=generator, device=self._device, dtype=dtype)

        queries = random(self._num_tokens, _CHANNELS)
        bias = None
        if load.is_ragged:
            bias = queries.new_zeros(load.num_objects, 1, 1, num_keys)
            num_present = load.num_memories // 2 * self._num_tokens
            bias[::2, :, :, num_present : load.num_memories * self._num_tokens] = -math.inf
        return Inputs(
            queries, random(num_keys, _CHANNELS), random(num_keys, _MEMORY_CHANNELS), bias
        )

    def _seconds(self, inputs: Inputs) -> float:
        self._wait()
        started_s = time.perf_counter()
        self._attend(inputs)
        self._wait()
        return time.perf_counter() - started_s

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)


def _sdpa(backend: SDPBackend | None) -> Callable[[bool], Attend]:
    """`scaled_dot_product_attention` with torch's choice of a kernel, or with one."""

    def attend(inputs: Inputs) -> Tensor:
        chosen: AbstractContextManager[object] = (
            nullcontext() if backend is None else sdpa_kernel(backend)
        )
        with chosen:
            return functional.scaled_dot_product_attention(
                inputs.queries, inputs.keys, inputs.values, attn_mask=inputs.bias
            )

    return lambda _generates_code: attend


def _flash(_generates_code: bool) -> Attend:  # noqa: FBT001 (one signature for all)
    """Flash, with values that are padded to the width of keys."""

    def attend(inputs: Inputs) -> Tensor:
        padded = functional.pad(inputs.values, (0, _CHANNELS - _MEMORY_CHANNELS))
        with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
            attended = functional.scaled_dot_product_attention(inputs.queries, inputs.keys, padded)
        return attended[..., :_MEMORY_CHANNELS]

    return attend


def _flex(generates_code: bool) -> Attend:  # noqa: FBT001 (one signature for all)
    """Flex attention, which adds the bias inside its kernel."""
    attention = torch.compile(flex_attention) if generates_code else flex_attention

    def attend(inputs: Inputs) -> Tensor:
        bias = inputs.bias
        if bias is None:
            return attention(inputs.queries, inputs.keys, inputs.values)
        by_key = bias[:, 0, 0]

        def biased(score: Tensor, b: Tensor, _head: Tensor, _query: Tensor, key: Tensor) -> Tensor:
            return score + by_key[b, key]

        return attention(inputs.queries, inputs.keys, inputs.values, biased)

    return attend


KERNELS: dict[str, Callable[[bool], Attend]] = {
    "torch's choice": _sdpa(None),
    "cuDNN": _sdpa(SDPBackend.CUDNN_ATTENTION),
    "memory-efficient": _sdpa(SDPBackend.EFFICIENT_ATTENTION),
    "Flash": _flash,
    "flex": _flex,
}
WITHOUT_BIAS = {"Flash"}


def _difference(inputs: Inputs, found: Tensor) -> float:
    """Return the largest difference from float64 of some queries of the first object."""
    queries = inputs.queries[0, 0, :_NUM_CHECKED_QUERIES].double()
    scores = queries @ inputs.keys[0, 0].double().T / math.sqrt(_CHANNELS)
    if inputs.bias is not None:
        scores = scores + inputs.bias[0, 0].double()
    expected = scores.softmax(-1) @ inputs.values[0, 0].double()
    return float((found[0, 0, :_NUM_CHECKED_QUERIES].double() - expected).abs().max())
