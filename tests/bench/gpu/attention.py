"""Part: the kernels that can compute the attention to memories, each on its own.

They are those of the engine, on its shapes, and compiled as they are in its graphs.
"""

from dataclasses import asdict
from functools import partial
from statistics import median
from typing import cast

import torch

from pvtt_flow.models.sam2.attention_kernels import kernel_named
from pvtt_flow.models.sam2.kernel_choice import AttentionInputs, AttentionShape, seconds_of
from tests.bench.gpu.bench import Bench
from tests.bench.gpu.plan import Load
from tests.bench.gpu.record import Row
from tests.bench.gpu.worker import Worker

_CHANNELS, _MEMORY_CHANNELS, _POINTER_TOKENS = 256, 64, 64
_NUM_CALLS, _NUM_WARM_UP_CALLS = 10, 3


def measure(bench: Bench) -> None:
    """Measure each kernel in a process of its own."""
    plan = bench.plan
    for kernel in plan.kernels:
        with Worker(Trial, kernel, plan.device, plan.size_px // 16, plan.generates_code) as worker:
            for load in plan.attended:
                what: Row = {"step": "attention", "kernel": kernel, **asdict(load)}
                bench.attempt(what, partial(_called, worker, load, bench))


def _called(worker: Worker, load: Load, bench: Bench) -> Row:
    return cast("Row", worker.call("measure", load, timeout_s=bench.clock.remaining_s))


class Trial:
    """Kernel that is measured on random numbers, bfloat16 on CUDA and float32 elsewhere."""

    def __init__(self, name: str, device: str, grid_side: int, generates_code: bool) -> None:  # noqa: FBT001 (of a process)
        attend = kernel_named(name).attend
        self._attend = torch.compile(attend) if generates_code else attend
        self._device = torch.device(device)
        self._num_tokens = grid_side**2

    def measure(self, load: Load) -> Row:
        """Return milliseconds, TFLOP/s and the largest difference from float64."""
        shape = AttentionShape(
            num_objects=load.num_objects,
            num_queries=self._num_tokens,
            num_keys=load.num_memories * self._num_tokens + _POINTER_TOKENS,
            channels=_CHANNELS,
            value_channels=_MEMORY_CHANNELS,
        )
        dtype = torch.bfloat16 if self._device.type == "cuda" else torch.float32
        inputs = AttentionInputs.random(shape, self._device, dtype, has_bias=load.is_ragged)
        with torch.inference_mode():
            error = inputs.error_of(inputs.run(self._attend))
            run = partial(inputs.run, self._attend)
            seconds = [
                seconds_of(self._device, run) for _ in range(_NUM_WARM_UP_CALLS + _NUM_CALLS)
            ]
        seconds_a_call = median(seconds[_NUM_WARM_UP_CALLS:])
        return {
            "ms": seconds_a_call * 1e3,
            "tflops_per_s": shape.flops / seconds_a_call / 1e12,
            "max_difference": error,
        }
