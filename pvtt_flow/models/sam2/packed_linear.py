"""Linear layers with the fastest exact kernel that the device has.

On a CPU `F.linear` is MKL's sgemm, which takes its slow path on AMD processors. oneDNN's product
with weights that are packed once gives the same sum: there the whole image encoder is 1.8 times as
fast with it, and attention over a full memory twice (tests/bench/savings.json).
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Activation = Literal["none", "relu"]


class PackedLinear(nn.Module):
    """`activation(x @ weight.T + bias)`, (..., in) to (..., out), with weights packed once."""

    def __init__(self, weight: Tensor, bias: Tensor, activation: Activation = "none") -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.detach().clone(), requires_grad=False)
        self.bias = nn.Parameter(bias.detach().clone(), requires_grad=False)
        self._activation = activation
        self._packed_weight = _pack(self.weight) if _can_pack(weight) else None

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer to (..., in): float32, or bfloat16 under autocast."""
        if (
            self._packed_weight is not None
            and x.dtype == torch.float32
            and not _must_use_torch_kernel()
        ):
            return _onednn_linear(x, self._packed_weight, self.bias, self._activation)
        y = functional.linear(x, self.weight, self.bias)
        return functional.relu(y) if self._activation == "relu" else y


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Compute `x @ weight.T + bias` of (n, k), (m, k) and (m,): (n, m). Weights are not packed."""
    if x.dtype == torch.float32 and _has_onednn(x) and not _must_use_torch_kernel():
        return _onednn_linear(x, weight, bias)
    return functional.linear(x, weight, bias)


def pack_linears(module: nn.Module) -> None:
    """Replace each `nn.Linear` below `module` in place, on devices where packing is faster."""
    for name, child in module.named_children():
        if not isinstance(child, nn.Linear):
            pack_linears(child)
        elif _can_pack(child.weight):
            setattr(module, name, PackedLinear(child.weight, child.bias))


def _can_pack(weight: Tensor) -> bool:
    return weight.dtype == torch.float32 and _has_onednn(weight)


def _has_onednn(x: Tensor) -> bool:
    available = torch.backends.mkldnn.is_available()
    return x.device.type == "cpu" and available and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def _pack(weight: Tensor) -> Tensor:
    # Torch's own compiler packs a frozen CPU model with these two operators; they have no public
    # name.
    packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.detach())
    return packed


def _onednn_linear(
    x: Tensor, weight: Tensor, bias: Tensor | None, activation: Activation = "none"
) -> Tensor:
    y: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, activation, [], "")
    return y


def _must_use_torch_kernel() -> bool:
    """Return whether the compiler chooses the kernel, or autocast needs one of lower precision."""
    return torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu")
