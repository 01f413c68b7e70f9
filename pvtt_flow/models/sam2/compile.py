"""Batched functions, compiled for a small number of batch sizes.

A compiled kernel and a CUDA graph are made for one shape. Batches are padded to the next power of
two by repeating their last item, so that few shapes serve all sizes.
"""

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

BatchedFunction = Callable[..., tuple[Tensor, ...]]
"""Takes and returns tensors whose first dimension is the batch."""


def compile_batched(function: BatchedFunction, device: torch.device) -> BatchedFunction:
    """Compile `function`; on CUDA it is replayed as a graph.

    Arguments that are not tensors are constants to the compiler. The first call with a new (padded)
    batch size takes a minute or more. Where compilation fails, a warning is issued once and
    `function` runs uncompiled.
    """
    uses_cuda_graphs = device.type == "cuda"
    compiled = torch.compile(
        function, dynamic=False, mode="reduce-overhead" if uses_cuda_graphs else None
    )
    can_compile = True

    def run(*args: Any) -> tuple[Tensor, ...]:
        nonlocal can_compile
        if not can_compile:
            return function(*args)
        size = next(len(a) for a in args if isinstance(a, Tensor))
        try:
            if uses_cuda_graphs:
                torch.compiler.cudagraph_mark_step_begin()
            outputs = compiled(*(_pad_to_power_of_two(a, size) for a in args))
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # noqa: BLE001 (compilers fail in many ways; slow is better)
            can_compile = False
            warnings.warn(
                f"{function.__name__} could not be compiled and runs uncompiled, which is slower; "
                f"set tracker.compile_steps to false to skip the attempt: {error}",
                RuntimeWarning,
                stacklevel=2,
            )
            return function(*args)
        # The graph's next replay overwrites its outputs.
        return tuple(o[:size].clone() if uses_cuda_graphs else o[:size] for o in outputs)

    return run


def next_power_of_two(size: int) -> int:
    """Return the smallest power of two that is at least `size`."""
    return 1 << (size - 1).bit_length()


def _pad_to_power_of_two(arg: Any, size: int) -> Any:
    missing = next_power_of_two(size) - size
    if not isinstance(arg, Tensor) or not missing:
        return arg.contiguous() if isinstance(arg, Tensor) else arg
    return torch.cat([arg, arg[-1:].expand(missing, *arg.shape[1:])])
