"""Peak of a device's bfloat16 matrix products: on paper and measured."""

import time

import torch

# Dense bfloat16 with float32 sums, in FLOP/s: NVIDIA's data sheets of each card, whose figures
# "with sparsity" are halved. The first name that a card's name contains.
_ON_PAPER = (
    ("B200", 2_250e12),
    ("H200", 989.5e12),
    ("H100 NVL", 835.5e12),
    ("H100 PCIe", 756.5e12),
    ("H100", 989.5e12),
    ("A100", 312e12),
    ("L40S", 362e12),
    ("L4", 121e12),
    ("A10", 125e12),
    ("RTX 4090", 165e12),
)
_SIDE, _CPU_SIDE = 8192, 512
_NUM_PRODUCTS = 10


def on_paper(name: str) -> float | None:
    """Return the peak of a card in FLOP/s, or None if the card is not in the table."""
    return next((peak for part, peak in _ON_PAPER if part in name), None)


class Peak:
    """Device whose peak is measured."""

    def __init__(self, device: str) -> None:
        self._device = torch.device(device)

    def measure(self) -> float:
        """Return FLOP/s of large products of random bfloat16 matrices."""
        side = _SIDE if self._device.type == "cuda" else _CPU_SIDE
        first, second = (
            torch.randn(side, side, device=self._device, dtype=torch.bfloat16) for _ in range(2)
        )
        seconds = min(self._seconds(first, second) for _ in range(_NUM_PRODUCTS))
        return 2 * side**3 / seconds

    def _seconds(self, first: torch.Tensor, second: torch.Tensor) -> float:
        self._wait()
        started = time.perf_counter()
        _ = first @ second
        self._wait()
        return time.perf_counter() - started

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
