"""Baselines by name."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import torch

from pvtt_flow.models.baselines.baseline_tracker import BaselineTracker
from pvtt_flow.models.baselines.cutie import build_cutie
from pvtt_flow.models.baselines.propagation import Propagator
from pvtt_flow.models.baselines.sam_per_frame import SamPerFrame
from pvtt_flow.models.baselines.stcn import build_stcn
from pvtt_flow.models.baselines.xmem import build_xmem
from pvtt_flow.models.detector import device_name
from pvtt_flow.models.sam2.blank_shot import blank_shot
from pvtt_flow.models.sam2.threaded_tracker import ThreadedTracker
from pvtt_flow.models.tracker import Method, Tracker, TrackerParams

NETWORKS: Mapping[Method, Callable[[Path, torch.device], Propagator]] = {
    "stcn": build_stcn,
    "xmem": build_xmem,
    "cutie": build_cutie,
}
"""Methods that have weights of their own."""


def build_baseline(segmenter: Tracker, weights: Path | None, params: TrackerParams) -> Tracker:
    """Load the baseline of the params; `segmenter` is their SAM 2."""
    return BaselineTracker(segmenter, _propagator(segmenter, weights, params), params)


def try_baseline(
    segmenter: Path, config: Path, weights: Path | None, params: TrackerParams
) -> None:
    """Track a box through three blank frames on the CPU; raise ConfigError if it cannot."""
    on_cpu = params.model_copy(update={"device": "cpu"})
    tracker = ThreadedTracker(segmenter, config, on_cpu)
    for _ in build_baseline(tracker, weights, on_cpu).track(blank_shot(3)):
        pass
    tracker.close()


def _propagator(segmenter: Tracker, weights: Path | None, params: TrackerParams) -> Propagator:
    method = params.baseline.method
    if method is None or weights is None:
        return partial(SamPerFrame, segmenter)
    return NETWORKS[method](weights, torch.device(device_name(params.device)))
