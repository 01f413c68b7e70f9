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


AS_SHIPPED = Tuning()
