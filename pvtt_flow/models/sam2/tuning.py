"""Choices of a tracker that change its speed, each of which benchmarks turn off."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tuning:
    """Choices that depend on the machine; users have no setting for them."""

    attention: str | None = None
    """Kernel for the attention to memories, one of `attention_kernels.KERNELS`, or `measured` for
    the fastest one; None: measured on CUDA, and on a CPU the one that suits its caches."""
    uploads_ahead: bool | None = None
    """Copy frames to the device as soon as they are decoded; None: on CUDA."""
    max_wait_s: float | None = None
    """Longest wait for a fuller batch; None: 3 ms on CUDA, and 0 on a CPU, whose batches are
    small."""


AS_SHIPPED = Tuning()
