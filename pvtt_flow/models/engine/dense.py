"""Matrix products of fixed weights, by the fastest exact kernel that the device has.

`F.linear` on a CPU is MKL's sgemm, which takes its slow path on AMD processors. oneDNN's product
with weights packed once is the same sum; there the whole image encoder is 1.6 times as fast with it
(tests/bench/savings.json).
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
            return _packed_linear(x, self._packed, self.bias, self._activation)
        y = functional.linear(x, self.weight, self.bias)
        return functional.relu(y) if self._activation == "relu" else y


def pack_linears(module: nn.Module) -> None:
    """Replaces every `nn.Linear` below `module` in place, where that pays."""
    for name, child in module.named_children():
        if not isinstance(child, nn.Linear):
            pack_linears(child)
        elif _can_pack(child.weight):
            setattr(module, name, Dense(child.weight, child.bias))


def _can_pack(weight: Tensor) -> bool:
    return (
        weight.device.type == "cpu"
        and weight.dtype == torch.float32
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


def _pack(weight: Tensor) -> Tensor:
    # Torch's own compiler packs a frozen CPU model with these two operators; they have no name
    # without an underscore.
    packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.detach())
    return packed


def _packed_linear(x: Tensor, packed: Tensor, bias: Tensor, activation: Activation) -> Tensor:
    y: Tensor = torch.ops.mkldnn._linear_pointwise(x, packed, bias, activation, [], "")
    return y


def _casts() -> bool:
    """Whether another kernel must do it: the compiler's own, or one of lower precision."""
    return torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu")
