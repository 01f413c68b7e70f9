"""Matrix products, by the fastest exact kernel that the device has.

`F.linear` on a CPU is MKL's sgemm, which takes its slow path on AMD processors. oneDNN's product
with weights packed once is the same sum; on one of them the whole image encoder is 1.8 times as
fast with it, and attention over a full memory twice (tests/bench/savings.json).
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Activation = Literal["none", "relu"]


class Dense(nn.Module):
    """`activation(x @ weight.T + bias)`: (..., in) to (..., out)."""

    def __init__(self, weight: Tensor, bias: Tensor, activation: Activation = "none") -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.detach().clone(), requires_grad=False)
        self.bias = nn.Parameter(bias.detach().clone(), requires_grad=False)
        self._activation = activation
        self._packed = _pack(self.weight) if _can_pack(weight) else None

    def forward(self, x: Tensor) -> Tensor:
        """See the class; float32, or bfloat16 under autocast."""
        if self._packed is not None and x.dtype == torch.float32 and not _casts():
            return _linear(x, self._packed, self.bias, self._activation)
        y = functional.linear(x, self.weight, self.bias)
        return functional.relu(y) if self._activation == "relu" else y


def product(x: Tensor, y: Tensor, bias: Tensor | None = None) -> Tensor:
    """x @ yᵀ + bias of two matrices: (n, k), (m, k) and (m,) to (n, m)."""
    if x.dtype == torch.float32 and _has_kernel(x) and not _casts():
        return _linear(x, y, bias)
    return functional.linear(x, y, bias)


def pack_linears(module: nn.Module) -> None:
    """Replaces every `nn.Linear` below `module` in place, where that pays."""
    for name, child in module.named_children():
        if not isinstance(child, nn.Linear):
            pack_linears(child)
        elif _can_pack(child.weight):
            setattr(module, name, Dense(child.weight, child.bias))


def _can_pack(weight: Tensor) -> bool:
    return weight.dtype == torch.float32 and _has_kernel(weight)


def _has_kernel(x: Tensor) -> bool:
    available = torch.backends.mkldnn.is_available()
    return x.device.type == "cpu" and available and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def _pack(weight: Tensor) -> Tensor:
    # Torch's own compiler packs a frozen CPU model with these two operators; they have no name
    # without an underscore.
    packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.detach())
    return packed


def _linear(
    x: Tensor, weight: Tensor, bias: Tensor | None, activation: Activation = "none"
) -> Tensor:
    y: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, activation, [], "")
    return y


def _casts() -> bool:
    """Whether another kernel must do it: the compiler's own, or one of lower precision."""
    return torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu")
