"""Architectures that `family` measures, and a reference implementation of each."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from transformers.models.sam3_tracker_video.configuration_sam3_tracker_video import (
    Sam3TrackerVideoConfig,
)
from transformers.models.sam3_tracker_video.modeling_sam3_tracker_video import (
    Sam3TrackerVideoModel,
)

from pvtt_flow.models.factory import tracker_config
from pvtt_flow.models.sam2.official import build_predictor, find_architecture
from pvtt_flow.models.tracker import TrackerParams
from tests.bench.compare import Plan
from tests.bench.peers import Transformers
from tests.bench.systems import Model, Official, System
from tests.models.sam2.architectures import (
    sam3_reference,
    test_edgetam,
    test_efficienttam,
    test_sam3_tracker,
    transformers_edgetam,
)
from tests.models.sam2.float32_memories import float32_memories
from tests.models.sam2.pair import make_pair, perturb

_CPU = torch.device("cpu")
_PLAN = Plan(4, num_frames=10, num_rounds=3, num_checked=0)
# As many as fill the memories of an object, and one more.
_OWN_FRAMES = 8
_SAM3_TRIAL_PX = 112


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
    compare_logits: Callable[["Member", Path], float]
    """Returns the largest difference of logits between engine and reference, on small images."""

    def config(self, size_px: int, folder: Path) -> Path:
        """Write its config for images of `size_px`."""
        path = folder / f"{self.name}-{size_px}.yaml"
        tree = yaml.safe_load(tracker_config(TrackerParams(config=self.name)).read_text())
        self.resize(tree["model"], size_px)
        path.write_text(yaml.safe_dump(tree))
        return path

    def model(self, size_px: int, folder: Path) -> Model:
        """Return the model with random weights for images of `size_px`."""
        return Model(self.name, self.config(size_px, folder), None, size_px)


def _resize(model: dict[str, Any], size_px: int) -> None:
    model["image_size"] = size_px
    for attention in ("self_attention", "cross_attention"):
        model["memory_attention"]["layer"][attention]["feat_sizes"] = [size_px // 16] * 2


def _compare_logits(member: Member, folder: Path) -> float:
    """Compare with a plain run of the same modules by the official predictor."""
    config = member.config(member.quick_px, folder)
    torch.manual_seed(0)
    predictor = perturb(build_predictor(None, config, _CPU))
    pair = make_pair(predictor, find_architecture(config))
    return pair.difference(test_efficienttam.ragged_shots(), "both").check().logit


def _official(name: str, size_px: int = 1024) -> Member:
    return Member(
        name=name,
        reference="the predictor of the package sam2, with the modules of the architecture",
        size_px=size_px,
        make_reference=Official,
        resize=_resize,
        compare_logits=_compare_logits,
    )


def _resize_edgetam(model: dict[str, Any], size_px: int) -> None:
    model["image_size"] = size_px
    attention = model["memory_attention"]["layer"]
    attention["self_attention"]["feat_sizes"] = [size_px // 16] * 2
    attention["cross_attention"]["q_sizes"] = [size_px // 16] * 2


def _edgetam_of_transformers(model: Model) -> System:
    predictor = build_predictor(None, model.config, _CPU)
    return Transformers(transformers_edgetam.empty_model(predictor), model.size_px)


def _compare_edgetam(_: Member, folder: Path) -> float:
    predictor = test_edgetam.random_predictor(test_edgetam.small_config(folder), presence=3.0)
    shots = test_edgetam.ragged_shots()
    with float32_memories():
        model = test_edgetam.make_model(predictor)
        return test_edgetam.difference(model, predictor, shots).check().logit


def _resize_sam3(model: dict[str, Any], size_px: int) -> None:
    grid = size_px // 14
    depth, whole = _sam3_blocks(size_px)
    model["image_encoder"]["trunk"] |= {"depth": depth, "global_att_blocks": whole}
    model["image_size"] = model["image_encoder"]["trunk"]["img_size"] = size_px
    model["memory_encoder"]["mask_downsampler"]["interpol_size"] = [16 * grid] * 2
    for attention in ("self_attention", "cross_attention"):
        model["memory_attention"]["layer"][attention]["feat_sizes"] = [grid] * 2


def _sam3_blocks(size_px: int) -> tuple[int, list[int]]:
    """Return the number of blocks and those that attend to the whole image; a trial has few."""
    return (2, [1]) if size_px == _SAM3_TRIAL_PX else (32, [7, 15, 23, 31])


def _sam3_of_transformers(model: Model) -> System:
    depth, whole = _sam3_blocks(model.size_px)
    backbone = {
        "model_type": "sam3_vit_model",
        "image_size": model.size_px,
        "num_hidden_layers": depth,
        "global_attn_indexes": whole,
    }
    config = Sam3TrackerVideoConfig(
        vision_config={"model_type": "sam3_vision_model", "backbone_config": backbone},
        image_size=model.size_px,
    )
    torch.manual_seed(0)
    return Transformers(Sam3TrackerVideoModel(config), model.size_px)


def _compare_sam3(_: Member, folder: Path) -> float:
    reference = sam3_reference.small_model(sam3_reference.FollowingModel, 14)
    state = sam3_reference.published_state(reference)
    config = test_sam3_tracker.written_config(folder, 14)
    engine = test_sam3_tracker.engine_with(state, folder, config)
    shots = test_efficienttam.ragged_shots()
    return test_sam3_tracker.difference(reference, engine, shots).check().logit


MEMBERS = (
    _official("sam2.1_hiera_tiny"),
    _official("efficienttam_ti"),
    _official("efficienttam_ti_512x512", 512),
    _official("efficienttam_s"),
    Member(
        name="edgetam",
        reference="transformers' EdgeTamVideoModel",
        size_px=1024,
        # Half of its memories' grid, as at its own size a quarter.
        compared_px=512,
        quick_px=256,
        make_reference=_edgetam_of_transformers,
        resize=_resize_edgetam,
        compare_logits=_compare_edgetam,
    ),
    Member(
        name="sam3_tracker",
        reference="transformers' Sam3TrackerVideoModel",
        size_px=1008,
        compared_px=252,
        quick_px=_SAM3_TRIAL_PX,
        own_frames=2,
        plan=Plan(2, num_frames=6, num_rounds=3, num_checked=0),
        make_reference=_sam3_of_transformers,
        resize=_resize_sam3,
        compare_logits=_compare_sam3,
    ),
)
