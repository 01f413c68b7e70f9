"""Functions of the model, compiled once for all batch sizes, before the first frame.

Dimensions that change from call to call (objects, images, memory tokens) are dynamic, so a function
has two graphs: one for a batch of one, since the compiler gives dimensions of size 1 code of their
own, and one for all others. `warm_up` compiles both; then the compiler is sealed: nothing is
compiled in the middle of a run. A call that would need another graph runs uncompiled, with a
warning, and is counted.

On CUDA each batch size is replayed as a graph of its own; batches are padded to one of a few sizes.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

BatchedFunction: TypeAlias = Callable[..., tuple[Tensor, ...]]
"""Takes and returns tensors whose first dimension is the batch."""


class Compiler:
    """Compiles the functions of one model, and counts."""

    def __init__(self, device: torch.device, backend: str = "inductor") -> None:
        """Compile with a backend of Dynamo; tests take quicker ones than `inductor`."""
        self.num_graphs = 0
        """Graphs that were compiled."""
        self.num_uncompiled_calls = 0
        """Calls that ran uncompiled."""
        self._uses_cuda_graphs = device.type == "cuda"
        self._backend = backend
        self._is_sealed = False

    def seal(self) -> None:
        """Compile nothing from now on."""
        self._is_sealed = True

    def sizes(self, largest: int) -> list[int]:
        """Return the batch sizes to prepare, ascending, so that all up to `largest` are."""
        if not self._uses_cuda_graphs:
            return [1, 2]
        return sorted({padded_size(size) for size in range(1, largest + 1)})

    def compile(
        self, function: BatchedFunction, dynamic_dims: Sequence[tuple[int, ...]] = ()
    ) -> BatchedFunction:
        """Return the compiled function of tensors.

        `dynamic_dims` has the dynamic dimensions of each argument besides the first one.
        """
        compiled = torch.compile(function, backend=self._compile_graph, fullgraph=True)
        failed: set[tuple[torch.Size, ...]] = set()
        can_compile = True

        def run(*args: Tensor) -> tuple[Tensor, ...]:
            nonlocal can_compile
            shapes = tuple(arg.shape for arg in args)
            if not can_compile or shapes in failed:
                self.num_uncompiled_calls += 1
                return function(*args)
            size = len(args[0])
            padded = [self._padded(arg) for arg in args]
            if not self._is_sealed:
                mark_dynamic(padded, dynamic_dims)
            try:
                if self._uses_cuda_graphs:
                    torch.compiler.cudagraph_mark_step_begin()
                outputs: tuple[Tensor, ...] = compiled(*padded)
            except torch.OutOfMemoryError:
                raise
            except Exception as error:  # noqa: BLE001 (compilers fail in many ways; slow is better)
                failed.add(shapes)
                # A function that fails while it is prepared would fail in all shapes.
                can_compile = self._is_sealed
                self.num_uncompiled_calls += 1
                _warn(function, error)
                return function(*args)
            # The graph's next replay overwrites its outputs.
            return tuple(o[:size].clone() if self._uses_cuda_graphs else o[:size] for o in outputs)

        return run

    def compiled_alone(self, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """Return a function that is compiled for a trial, as if it were part of a graph."""
        return torch.compile(function, backend=self._backend, fullgraph=True)

    def _compile_graph(self, graph: torch.fx.GraphModule, inputs: list[Any]) -> Any:
        """Compile a graph that Dynamo has traced."""
        if self._is_sealed:
            raise RuntimeError("its shapes were not prepared before the first frame")
        self.num_graphs += 1
        if self._backend != "inductor":
            return torch._dynamo.lookup_backend(self._backend)(graph, inputs)
        from torch._inductor.compile_fx import compile_fx

        # What `mode="reduce-overhead"` sets.
        patches = {"triton.cudagraphs": True} if self._uses_cuda_graphs else None
        return compile_fx(graph, inputs, config_patches=patches)

    def _padded(self, arg: Tensor) -> Tensor:
        missing = padded_size(len(arg)) - len(arg) if self._uses_cuda_graphs else 0
        if not missing:
            return arg.contiguous()
        return torch.cat([arg, arg[-1:].expand(missing, *arg.shape[1:])])


def padded_size(size: int) -> int:
    """Return the batch size that serves `size`: 1 to 8, 10, 12, 14, 16, 20 and so on.

    Four sizes between two powers of two waste at most a quarter.
    """
    step = max(1, (1 << (size - 1).bit_length()) // 8)
    return -(-size // step) * step


def mark_dynamic(args: Sequence[Tensor], dynamic_dims: Sequence[tuple[int, ...]]) -> None:
    """Tell Dynamo which dimensions change, before it traces."""
    for number, arg in enumerate(args):
        dims = dynamic_dims[number] if number < len(dynamic_dims) else ()
        for dim in (*((0,) if len(arg) > 1 else ()), *dims):
            torch._dynamo.mark_dynamic(arg, dim)


def _warn(function: BatchedFunction, error: Exception) -> None:
    # Dynamo wraps what a backend raises.
    reason = str(getattr(error, "inner_exception", error)).strip().partition("\n")[0]
    warnings.warn(
        f"{getattr(function, '__name__', function)} runs uncompiled, which is slower; set "
        f"tracker.compile_steps to false to compile nothing: {reason}",
        RuntimeWarning,
        stacklevel=3,
    )
