"""Functions of a batch, compiled for a few sizes of it.

A compiled kernel and a CUDA graph are made for one shape. Batches are padded to the next power of
two by repeating their last item, so that a handful of shapes serves them all.
"""

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Function = Callable[..., tuple[Tensor, ...]]


def compiled(function: Function, device: torch.device) -> Function:
    """`function` with tensors of b items in and out, compiled; on CUDA replayed as a graph.

    Arguments that are no tensors are constants to the compiler. The first call of each size takes
    a minute or more. Where compiling fails, `function` goes on as it is, with a warning.
    """
    graphs = device.type == "cuda"
    fast = torch.compile(function, dynamic=False, mode="reduce-overhead" if graphs else None)
    works = True

    def run(*args: Any) -> tuple[Tensor, ...]:
        nonlocal works
        if not works:
            return function(*args)
        size = next(len(a) for a in args if isinstance(a, Tensor))
        try:
            if graphs:
                torch.compiler.cudagraph_mark_step_begin()
            outputs = fast(*(_padded(a, size) for a in args))
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # noqa: BLE001 (compilers fail in many ways; slow is better)
            works = False
            warnings.warn(
                f"{function.__name__} could not be compiled and goes on slower; set "
                f"tracker.compile_steps to false to save the attempt: {error}",
                RuntimeWarning,
                stacklevel=2,
            )
            return function(*args)
        # A graph writes its next results where these are.
        return tuple(o[:size].clone() if graphs else o[:size] for o in outputs)

    return run


def bucket(size: int) -> int:
    """The smallest power of two that holds `size` items."""
    return 1 << (size - 1).bit_length()


def _padded(arg: Any, size: int) -> Any:
    missing = bucket(size) - size
    if not isinstance(arg, Tensor) or not missing:
        return arg.contiguous() if isinstance(arg, Tensor) else arg
    return torch.cat([arg, arg[-1:].expand(missing, *arg.shape[1:])])
