"""Make the detector's score the share of its detections that are right.

A line through the logits of the scores is fitted (Platt, Probabilistic outputs for support vector
machines, 1999) to detections on meshes that training did not show. It becomes part of the last
convolution of the class scores, so the weights that ship need no step of their own.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from pvtt_flow.training.corpus import library_of
from pvtt_flow.training.detections import MatchedDetections
from pvtt_flow.training.detector.model import WEIGHTS, build, export, load_weights, open_detector
from pvtt_flow.training.evaluate_detector import matched, see

_MAX_ITERATIONS = 50


def calibrate(
    work: Path, *, stills: int, report: Callable[[str], None], weights: Path = WEIGHTS
) -> None:
    """Calibrate the weights on held-out stills that are not those of the measurement."""
    library = library_of(work / "assets", "calibration")
    found = matched(see(open_detector(weights), stills, library, split="calibration"))
    slope, offset = fit(found)
    export(with_line(load_weights(weights), slope, offset), weights)
    report(f"{len(found.scores)} detections: logit = {slope:.3f} * logit + {offset:.3f}")


def fit(found: MatchedDetections) -> tuple[float, float]:
    """Return slope and offset of the logits with which the scores are likeliest."""
    if found.is_correct.all() or not found.is_correct.any():
        raise ValueError("must be fitted to right and to wrong detections, found one kind only")
    logits = torch.logit(torch.from_numpy(found.scores), eps=1e-6)
    is_correct = torch.from_numpy(found.is_correct).double()
    line = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    optimizer: Any = torch.optim.LBFGS([line], max_iter=_MAX_ITERATIONS)

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = torch.nn.functional.binary_cross_entropy_with_logits(
            line[0] * logits + line[1], is_correct
        )
        torch.autograd.backward(value)
        return value

    optimizer.step(loss)
    slope, offset = line.tolist()
    return slope, offset


def with_line(
    state: dict[str, torch.Tensor], slope: float, offset: float
) -> dict[str, torch.Tensor]:
    """Return the weights of a detector whose class logits are those of `state` on a line."""
    model: Any = build()
    model.load_state_dict(state)
    with torch.no_grad():
        # One branch for each of the three grids of the head.
        for branch in model.model[-1].cv3:
            last = branch[-1]
            last.weight.mul_(slope)
            last.bias.mul_(slope).add_(offset)
    calibrated: dict[str, torch.Tensor] = model.state_dict()
    return calibrated
