"""Optimizers, schedule and the running average of weights."""

from collections.abc import Iterable

import torch
from torch import nn

LEARNING_RATE = 1e-3
WEIGHT_DECAY = 0.02
WARM_UP = 150


def make_optimizers(model: nn.Module, *, muon: bool = True) -> list[torch.optim.Optimizer]:
    """Make Muon for the hidden matrices, AdamW for convolutions, embeddings, norms and biases."""
    matrices: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, weight in model.named_parameters():
        hidden = weight.ndim == 2 and min(weight.shape) > 8 and "token" not in name
        (matrices if muon and hidden else rest).append(weight)
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(rest, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, betas=(0.9, 0.98))
    ]
    if matrices:
        optimizers.append(
            torch.optim.Muon(
                matrices,
                lr=LEARNING_RATE,
                weight_decay=WEIGHT_DECAY,
                adjust_lr_fn="match_rms_adamw",
                ns_steps=4,
            )
        )
    return optimizers


def learning_rate_share(iteration: int, total: int, decay: int) -> float:
    """Return the share of the learning rate: warm-up, plateau, then linear to 2 %."""
    decay_share = (total - iteration) / max(1, decay)
    return min(1.0, (iteration + 1) / WARM_UP, max(0.02, decay_share))


class WeightAverage:
    """Exponential moving average of weights, over few iterations at first."""

    def __init__(self, model: nn.Module, decay: float = 0.998) -> None:
        self.decay = decay
        self.state = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module, iteration: int) -> None:
        """Move the average towards the weights of the model."""
        keep = min(self.decay, (iteration + 1) / (iteration + 20))
        for name, value in model.state_dict().items():
            # A checkpoint is read to the CPU.
            self.state[name] = self.state[name].to(value.device)
            if value.is_floating_point():
                self.state[name].lerp_(value, 1 - keep)
            else:
                self.state[name].copy_(value)


def set_learning_rate(optimizers: Iterable[torch.optim.Optimizer], rate: float) -> None:
    """Set the learning rate of every optimizer."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate
