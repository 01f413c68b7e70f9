"""Kernels that can compute the attention to memories, each as one function.

T queries of C channels attend to L keys of C channels; their values are raw memories of V channels,
fewer than C (`memory_attention.py`). The bias is -inf where an object has no such token.

Flash takes no bias, and wants values as wide as keys. Instead of a bias, weights can be channels:

    softmax(S + bias) V = softmax(S) (w V) / softmax(S) w    with w = exp(bias), 0 for -inf

V + 1 channels, padded with zeros to the width that a kernel wants, hold w V and w. Keys of tokens
that do not exist are 0, and so are their scores: all others would have to be below -87 for the
divisor to vanish.

Values that are projected to C channels first, as in SAM 2, are no kernel of their own: Flash costs
on them what it costs on padded ones, and the projection comes on top.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.flex_attention import flex_attention

from pvtt_flow.models.device_errors import is_device_error
from pvtt_flow.models.sam2.packed_linear import linear

Attend: TypeAlias = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]
"""Computes softmax(Q Kᵀ / √C + bias) V with one head: takes (b, T, C), (b, L, C), (b, L, V) and
(b, 1, L) or None; returns (b, T, V)."""

# cuDNN wants rows of 16 bytes.
_MULTIPLE = 8


@dataclass(frozen=True, slots=True)
class Kernel:
    """Kernel by its name."""

    name: str
    attend: Attend
    needs_compiler: bool = False
    """True if it is fast only inside a compiled function; elsewhere it would keep all scores."""


class ChosenKernels:
    """Attention to memories by the kernels that were chosen, one for each kind of batch.

    Where one of them fails, the default takes its place, with a warning.
    """

    def __init__(self, default: Kernel) -> None:
        self._default = default
        self._with_bias = self._without_bias = default
        self._failed: set[str] = set()
        self.num_fallbacks = 0
        """Kernels that failed, and were given up."""

    @property
    def described(self) -> str:
        """Names of the kernels where they are not the default, to be appended to a description."""
        names = {kernel.name for kernel in (self._with_bias, self._without_bias)}
        if names == {self._default.name}:
            return ""
        return f", attention by {self._with_bias.name} and {self._without_bias.name}"

    def use(self, with_bias: Kernel, without_bias: Kernel) -> None:
        """Set the kernels; before anything is compiled, since they are part of its graphs."""
        self._with_bias, self._without_bias = with_bias, without_bias

    def __call__(
        self, queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None
    ) -> Tensor:
        """Attend as `Attend` says."""
        kernel = self._without_bias if bias is None else self._with_bias
        if torch.compiler.is_compiling():
            return kernel.attend(queries, keys, values, bias)
        if kernel.needs_compiler or kernel.name in self._failed:
            kernel = self._default
        try:
            return kernel.attend(queries, keys, values, bias)
        except RuntimeError as error:
            is_full = isinstance(error, torch.OutOfMemoryError)
            if kernel is self._default or is_full or is_device_error(error):
                raise
            self._fall_back(kernel, error)
        return self._default.attend(queries, keys, values, bias)

    def _fall_back(self, kernel: Kernel, error: RuntimeError) -> None:
        self._failed.add(kernel.name)
        self.num_fallbacks += 1
        warnings.warn(
            f"attention to memories runs on {self._default.name}, which may be slower, since "
            f"{kernel.name} failed: {str(error).partition(chr(10))[0]}",
            RuntimeWarning,
            stacklevel=3,
        )


def attend_by_object(queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None) -> Tensor:
    """Attend as `Attend` says, object by object.

    The scores of one object fit into a CPU's cache, where torch's fused kernel is far slower.
    """
    scaled = (queries / math.sqrt(queries.shape[-1])).contiguous()
    # With rows that are not contiguous the products would be hundreds of times slower.
    keys, values = keys.contiguous(), values.contiguous()
    biases = [None] * len(keys) if bias is None else bias[:, 0].to(queries.dtype)
    objects = zip(scaled, keys, values, biases, strict=True)
    return torch.stack([linear(linear(q, k, b).softmax(-1), v.T) for q, k, v, b in objects])


def attend_fused(queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None) -> Tensor:
    """Attend as `Attend` says, by torch's choice of a kernel."""
    return _attend(None, queries, keys, values, bias)


def _attend(
    backend: SDPBackend | None, queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None
) -> Tensor:
    mask = None if bias is None else bias[:, None].to(queries.dtype)
    q, k, v = queries[:, None], keys[:, None], values[:, None].to(queries.dtype)
    chosen: AbstractContextManager[object] = nullcontext()
    if backend is not None:
        chosen = sdpa_kernel(backend)
    with chosen:
        return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)[:, 0]


def _cudnn(queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None) -> Tensor:
    return _attend(SDPBackend.CUDNN_ATTENTION, queries, keys, values, bias)


def _cudnn_with_weights(
    queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None
) -> Tensor:
    if bias is None:
        return _cudnn(queries, keys, values, None)
    channels = values.shape[-1] + 1
    width = -(-channels // _MULTIPLE) * _MULTIPLE
    keys, weighted = _weighted(keys, values, bias, width)
    return _divided(_cudnn(queries, keys, weighted, None), values)


def _memory_efficient(queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None) -> Tensor:
    return _attend(SDPBackend.EFFICIENT_ATTENTION, queries, keys, values, bias)


def _flash(queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None) -> Tensor:
    width = keys.shape[-1]
    if bias is None:
        padded = functional.pad(values, (0, width - values.shape[-1]))
        attended = _attend(SDPBackend.FLASH_ATTENTION, queries, keys, padded, None)
        return attended[..., : values.shape[-1]]
    keys, weighted = _weighted(keys, values, bias, width)
    attended = _attend(SDPBackend.FLASH_ATTENTION, queries, keys, weighted, None)
    return _divided(attended, values)


def _weighted(keys: Tensor, values: Tensor, bias: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Return keys, 0 where w = exp(bias) is, and w V, w and zeros, (b, L, width)."""
    weights = bias.transpose(1, 2).exp().to(values.dtype)
    parts = torch.cat([values * weights, weights], -1)
    return keys * (weights > 0), functional.pad(parts, (0, width - parts.shape[-1]))


def _divided(attended: Tensor, values: Tensor) -> Tensor:
    """Return the first V channels, divided by the next one."""
    channels = values.shape[-1]
    return attended[..., :channels] / attended[..., channels : channels + 1]


def _flex(queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None) -> Tensor:
    """Add the bias inside the kernel that is generated."""
    q, k, v = queries[:, None], keys[:, None], values[:, None].to(queries.dtype)
    if bias is None:
        attended: Tensor = flex_attention(q, k, v)
        return attended[:, 0]
    by_key = bias[:, 0]

    def biased(score: Tensor, b: Tensor, _head: Tensor, _query: Tensor, key: Tensor) -> Tensor:
        return score + by_key[b, key]

    attended = flex_attention(q, k, v, biased)
    return attended[:, 0]


BY_OBJECT = Kernel("object by object", attend_by_object)
TORCH = Kernel("torch's choice", attend_fused)
# The first of equally fast ones is chosen.
KERNELS: Sequence[Kernel] = (
    TORCH,
    Kernel("cuDNN", _cudnn),
    Kernel("cuDNN with weights", _cudnn_with_weights),
    Kernel("Flash", _flash),
    Kernel("memory-efficient", _memory_efficient),
    Kernel("flex", _flex, needs_compiler=True),
)


def kernel_named(name: str) -> Kernel:
    """Return one of `KERNELS`; raise ValueError if there is none of this name."""
    by_name = {kernel.name: kernel for kernel in KERNELS}
    if name not in by_name:
        raise ValueError(f"the kernel must be one of {', '.join(by_name)}, got {name}")
    return by_name[name]
