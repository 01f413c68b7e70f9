"""Data-parallel training on one machine: one process per core, gradients averaged each step.

Each process has one thread: torch's threads wait for each other at every small operation. On a
shared machine this made two threads up to thirty times slower than one (measured).
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.multiprocessing.spawn import spawn


def rank() -> int:
    """Return the rank of this process; rank 0 writes the files."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """Return the number of processes that train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def average_gradients(model: nn.Module) -> None:
    """Replace every gradient by its mean over the processes, in place."""
    if world_size() == 1:
        return
    for weight in model.parameters():
        if weight.grad is None:
            weight.grad = torch.zeros_like(weight)
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    flat /= world_size()
    start = 0
    for gradient in gradients:
        gradient.copy_(flat[start : start + gradient.numel()].view_as(gradient))
        start += gradient.numel()


def launch(function: Callable[..., None], processes: int, work: Path, *arguments: Any) -> None:
    """Run function(work, *arguments) in each of `processes` processes that train together."""
    if processes == 1:
        function(work, *arguments)
        return
    rendezvous = work / f".rendezvous_{os.getpid()}"
    start: Callable[..., Any] = spawn
    start(_run_rank, (function, processes, rendezvous, work, arguments), nprocs=processes)
    rendezvous.unlink(missing_ok=True)


def _run_rank(
    index: int, function: Callable[..., None], processes: int, rendezvous: Path, work: Path,
    arguments: tuple[Any, ...],
) -> None:  # fmt: skip
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{rendezvous.absolute()}", rank=index, world_size=processes
    )
    try:
        function(work, *arguments)
    finally:
        dist.destroy_process_group()
