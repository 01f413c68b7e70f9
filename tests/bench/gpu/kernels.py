"""Kernels that a pass runs, their time, and how long the device waits."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch._C._autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

MAX_KERNELS = 25
Interval = tuple[float, float]
"""Start and stop."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """Kernels of one name."""

    name: str
    num_calls: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Profile:
    """Use of the device during a pass."""

    span_s: float
    """From the first kernel's start to the last one's end."""
    busy_s: float
    """Time in which at least one kernel ran."""
    kernels: tuple[Kernel, ...]
    """Slowest `MAX_KERNELS`, the slowest first."""

    @property
    def idle_share(self) -> float:
        """Share of the span in which nothing ran."""
        return 1 - self.busy_s / self.span_s if self.span_s else 0.0


def profile_kernels(run: Callable[[], object], device: torch.device) -> Profile:
    """Run with the profiler on. Without CUDA, operators of all threads stand for kernels."""
    from torch._C._profiler import _ExperimentalConfig

    activities = [ProfilerActivity.CPU]
    if device.type == "cuda":
        activities = [ProfilerActivity.CUDA]
    all_threads = _ExperimentalConfig(profile_all_threads=True)
    with profile(activities=activities, experimental_config=all_threads) as profiler:
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
    wanted = DeviceType.CUDA if device.type == "cuda" else DeviceType.CPU
    spans: dict[str, list[Interval]] = defaultdict(list)
    for event in profiler.events() or ():
        # Ranges that somebody has named cover kernels and the gaps between them.
        named = getattr(event, "is_user_annotation", False) or event.name.startswith("## Call ")
        if event.device_type == wanted and not named:
            span = event.time_range
            spans[event.name].append((span.start / 1e6, span.end / 1e6))
    return summarize(spans)


def summarize(spans: dict[str, list[Interval]]) -> Profile:
    """Summarize the intervals of each kernel, in seconds."""
    flat = [span for own in spans.values() for span in own]
    kernels = sorted(
        (Kernel(name, len(own), sum(b - a for a, b in own)) for name, own in spans.items()),
        key=lambda kernel: -kernel.seconds,
    )
    return Profile(
        span_s=max((b for _, b in flat), default=0.0) - min((a for a, _ in flat), default=0.0),
        busy_s=covered(flat),
        kernels=tuple(kernels[:MAX_KERNELS]),
    )


def covered(spans: Iterable[Interval]) -> float:
    """Return the length of the union of some intervals."""
    total, end = 0.0, float("-inf")
    for start, stop in sorted(spans):
        total += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return total


def attention_kernels(kernels: Sequence[Kernel]) -> list[str]:
    """Return the names of kernels that are attention, whichever library has them."""
    words = ("attention", "flash", "fmha", "sdpa")
    return [k.name for k in kernels if any(word in k.name.lower() for word in words)]
