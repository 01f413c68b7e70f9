"""Choice of the kernel for the attention to memories: the fastest that is right, as measured.

Which kernel torch takes depends on the card, on versions of libraries and on shapes that no
library is tuned for (queries and keys of 256 channels, values of 64, a bias), and the time differs
by a factor of three and more. So each kernel is run on random numbers of the real shapes before the
model is compiled, as it is run later: inside a compiled function where the model is compiled.
"""

import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import TypeAlias

import torch
from torch import Tensor

from pvtt_flow.models.device_errors import is_device_error
from pvtt_flow.models.sam2.attention_kernels import KERNELS, TORCH, Attend, Kernel
from pvtt_flow.models.sam2.compile import mark_dynamic
from pvtt_flow.models.sam2.model import Sam2

Prepare: TypeAlias = Callable[[Attend, "AttentionInputs"], Attend]
"""Makes of a kernel what the model runs, as by compilation."""
Seconds: TypeAlias = Callable[[Callable[[], object]], float]
"""Runs, and returns how long it took the device."""

_NUM_ROUNDS = 5
_NUM_WARM_UP_CALLS = 2
# Of kernels that are about as fast the first is taken, so that machines of a kind choose alike.
_MARGIN = 0.95
# Of the largest value. Sums of thousands of numbers in bfloat16 differ by less than 0.01.
_TOLERANCES = {torch.bfloat16: 0.02, torch.float32: 1e-4}
_NUM_CHECKED_OBJECTS, _NUM_CHECKED_QUERIES = 2, 64


@dataclass(frozen=True, slots=True)
class AttentionShape:
    """Sizes of the attention to memories of one layer."""

    num_objects: int
    num_queries: int
    num_keys: int
    channels: int
    value_channels: int

    @classmethod
    def of(cls, model: Sam2, num_objects: int) -> "AttentionShape":
        """Return the shape for objects with one conditioning frame and full memories."""
        encoder = model.memory_encoder
        on_grid = encoder.memory_side**2
        others = len(encoder.token_positions) - on_grid
        read = on_grid // 4 if model.pools_memories else on_grid
        pointer_tokens = model.hidden_dim // model.memory_dim
        return cls(
            num_objects=num_objects,
            num_queries=model.grid_side**2,
            num_keys=model.num_memories * (read + others)
            + model.max_object_pointers * pointer_tokens,
            channels=model.hidden_dim,
            value_channels=model.memory_dim,
        )

    @property
    def flops(self) -> int:
        """Operations that are needed: those of padding are not."""
        channels = self.channels + self.value_channels
        return 2 * self.num_objects * self.num_queries * self.num_keys * channels


@dataclass(frozen=True, slots=True, eq=False)
class AttentionInputs:
    """Random arguments of a kernel."""

    queries: Tensor
    keys: Tensor
    values: Tensor
    bias: Tensor | None

    @classmethod
    def random(
        cls, shape: AttentionShape, device: torch.device, dtype: torch.dtype, *, has_bias: bool
    ) -> "AttentionInputs":
        """Draw them; with a bias, every second object lacks half of its keys."""
        generator = torch.Generator(device).manual_seed(0)

        def draw(num_tokens: int, channels: int) -> Tensor:
            size = shape.num_objects, num_tokens, channels
            return torch.randn(size, generator=generator, device=device, dtype=dtype)

        bias = None
        if has_bias:
            bias = torch.zeros(shape.num_objects, 1, shape.num_keys, device=device)
            bias[::2, :, shape.num_keys // 4 : shape.num_keys * 3 // 4] = -math.inf
        return cls(
            draw(shape.num_queries, shape.channels),
            draw(shape.num_keys, shape.channels),
            draw(shape.num_keys, shape.value_channels),
            bias,
        )

    def run(self, attend: Attend) -> Tensor:
        """Attend."""
        return attend(self.queries, self.keys, self.values, self.bias)

    def error_of(self, found: Tensor) -> float:
        """Return the largest difference from float64, of some queries of the first objects.

        It is relative to the largest value.
        """
        first = slice(_NUM_CHECKED_OBJECTS)
        queries = self.queries[first, :_NUM_CHECKED_QUERIES].double()
        scores = queries @ self.keys[first].double().mT / math.sqrt(queries.shape[-1])
        if self.bias is not None:
            scores = scores + self.bias[first].double()
        expected = scores.softmax(-1) @ self.values[first].double()
        difference = (found[first, :_NUM_CHECKED_QUERIES].double() - expected).abs().max()
        return float(difference / expected.abs().max())


@dataclass(frozen=True, slots=True)
class Choice:
    """Kernel that was chosen, and why."""

    kernel: Kernel
    milliseconds: Mapping[str, float]
    """Time of each kernel that is right."""
    left_out: Mapping[str, str]
    """Reasons, by kernel."""

    def __str__(self) -> str:
        times = ", ".join(f"{name} {ms:.3g} ms" for name, ms in self.milliseconds.items())
        reasons = "".join(f"; {name}: {reason}" for name, reason in self.left_out.items())
        return f"{self.kernel.name} ({times}{reasons})"


def choose_kernel(
    kernels: Sequence[Kernel],
    inputs: AttentionInputs,
    prepare: Prepare,
    seconds: Seconds,
) -> Choice:
    """Run all kernels in turn and return the fastest of those that are right.

    Left out are kernels that raise, or that differ from float64 by more than 0.02 of the largest
    value in bfloat16, 1e-4 in float32. If none is left, torch's choice is taken, with a warning.
    Raises what a broken device raises.
    """
    runs: dict[str, Callable[[], Tensor]] = {}
    left_out: dict[str, str] = {}
    for kernel in kernels:
        try:
            run = partial(inputs.run, prepare(kernel.attend, inputs))
            error = [inputs.error_of(run()) for _ in range(_NUM_WARM_UP_CALLS)][-1]
        except Exception as failure:
            if is_device_error(failure):
                raise
            left_out[kernel.name] = _reason(failure)
            continue
        if error <= _TOLERANCES[inputs.queries.dtype]:
            runs[kernel.name] = run
        else:
            left_out[kernel.name] = f"differs by {error:.2g}"
    rounds = [{name: seconds(run) for name, run in runs.items()} for _ in range(_NUM_ROUNDS)]
    times = {name: 1e3 * median(each[name] for each in rounds) for name in runs}
    if not times:
        warnings.warn(
            f"no kernel for the attention to memories was right, so torch chooses: {left_out}",
            RuntimeWarning,
            stacklevel=2,
        )
        return Choice(TORCH, times, left_out)
    # Not the fastest itself: see `_MARGIN`.
    name = next(name for name, ms in times.items() if ms * _MARGIN <= min(times.values()))
    return Choice(next(kernel for kernel in kernels if kernel.name == name), times, left_out)


def choose_kernels(
    model: Sam2, num_objects: int, dtype: torch.dtype, kernels: Sequence[Kernel] = KERNELS
) -> list[Choice]:
    """Choose the model's kernels for batches of this size; before it is compiled.

    Returns the choice for batches with a bias and, where there are any, that for others.
    """
    if model.compiler is None:
        kernels = [kernel for kernel in kernels if not kernel.needs_compiler]
    shape = AttentionShape.of(model, num_objects)
    choices = [
        choose_kernel(
            kernels,
            AttentionInputs.random(shape, model.device, dtype, has_bias=has_bias),
            partial(_prepared, model),
            partial(seconds_of, model.device),
        )
        for has_bias in ((True,) if model.has_full_context else (True, False))
    ]
    model.kernels.use(choices[0].kernel, choices[-1].kernel)
    if model.device.type == "cuda":
        torch.cuda.empty_cache()
    return choices


def _prepared(model: Sam2, attend: Attend, inputs: AttentionInputs) -> Attend:
    if model.compiler is None:
        return attend
    # The dimensions that change in the model's own graph.
    args = inputs.queries, inputs.keys, inputs.values, inputs.bias
    mark_dynamic([arg for arg in args if arg is not None], ((), (1,), (1,), (2,)))
    return model.compiler.compiled_alone(attend)


def seconds_of(device: torch.device, run: Callable[[], object]) -> float:
    """Return the seconds that the device takes."""
    _wait(device)
    started_s = time.perf_counter()
    run()
    _wait(device)
    return time.perf_counter() - started_s


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _reason(error: BaseException) -> str:
    """Return the first line of the error that began it: compilers wrap what kernels raise."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).strip().partition("\n")[0] or type(error).__name__
