"""Architectures that `family` measures, and a reference implementation of each."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from pvtt_flow.models.factory import tracker_config
from pvtt_flow.models.sam2.official import build_predictor, find_architecture
from pvtt_flow.models.tracker import TrackerParams
from tests.bench.compare import Plan
from tests.bench.systems import Model, Official, System
from tests.models.sam2.pair import make_pair, perturb
from tests.models.sam2.shots import OFF, ON, Shot, clicks, mask_of, shot, square_box

_CPU = torch.device("cpu")
_PLAN = Plan(8, num_frames=10, num_rounds=3, num_checked=0)
# As many as fill the memories of an object, twice.
_OWN_FRAMES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Config of one architecture, and how it is measured."""

    name: str
    """Name of its config."""
    reference: str
    """Description of the reference implementation."""
    size_px: int
    """Side of the images for which it was trained."""
    compared_px: int = 256
    quick_px: int = 128
    own_frames: int = _OWN_FRAMES
    plan: Plan = _PLAN
    make_reference: Callable[[Model], System]
    resize: Callable[[dict[str, Any], int], None]
    """Sets the size of images in a config's `model`."""
    compare_logits: Callable[[Path], float]
    """Returns the largest difference of logits between engine and reference, for a config."""

    def logit_difference(self, folder: Path) -> float:
        """Return the largest difference of logits from the reference, on small images."""
        return self.compare_logits(self.config(self.quick_px, folder))

    def config(self, size_px: int, folder: Path) -> Path:
        """Write its config for images of `size_px`."""
        path = folder / f"{self.name}-{size_px}.yaml"
        tree = yaml.safe_load(tracker_config(TrackerParams(config=self.name)).read_text())
        self.resize(tree["model"], size_px)
        path.write_text(yaml.safe_dump(tree))
        return path

    def model(self, size_px: int, folder: Path) -> Model:
        """Write its config and random weights for images of `size_px`, once."""
        weights = folder / f"{self.name}-{size_px}.pt"
        config = self.config(size_px, folder)
        if not weights.exists():
            torch.manual_seed(0)
            torch.save({"model": build_predictor(None, config, _CPU).state_dict()}, weights)
        return Model(self.name, config, weights, size_px)


def _resize(model: dict[str, Any], size_px: int) -> None:
    model["image_size"] = size_px
    for attention in ("self_attention", "cross_attention"):
        model["memory_attention"]["layer"][attention]["feat_sizes"] = [size_px // 16] * 2


def _compare_logits(config: Path) -> float:
    """Compare with a plain run of the same modules by the official predictor."""
    torch.manual_seed(0)
    predictor = perturb(build_predictor(None, config, _CPU))
    pair = make_pair(predictor, find_architecture(config))
    return pair.difference(ragged_shots(), "both").check().logit


def ragged_shots() -> list[Shot]:
    """Make shots of different lengths, with each kind of prompt, corrected and prompted late."""
    return [
        shot(4, square_box(0, 0), (0, mask_of(1, 0))),
        shot(6, square_box(0, 0), (2, clicks(1, (26, 30, ON), (80, 60, OFF)))),
        shot(3, square_box(0, 0), (2, clicks(0, (30, 30, ON), correction=True))),
        shot(9, square_box(0, 0), square_box(0, 3)),
    ]


def _official(name: str, size_px: int = 1024) -> Member:
    return Member(
        name=name,
        reference="the predictor of the package sam2, with the modules of the architecture",
        size_px=size_px,
        make_reference=Official,
        resize=_resize,
        compare_logits=_compare_logits,
    )


MEMBERS = (
    _official("sam2.1_hiera_tiny"),
    _official("efficienttam_ti"),
    _official("efficienttam_ti_512x512", 512),
    _official("efficienttam_s"),
)
