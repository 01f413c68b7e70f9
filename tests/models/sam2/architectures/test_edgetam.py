"""EdgeTAM against that of transformers, with the same random weights on small images."""

import copy
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor

from pvtt_flow.core import rle
from pvtt_flow.errors import ConfigError
from pvtt_flow.models.sam2.architectures.edgetam import EDGETAM
from pvtt_flow.models.sam2.architectures.sam2 import SAM2
from pvtt_flow.models.sam2.architectures.shipped_configs import shipped_configs
from pvtt_flow.models.sam2.compile import Compiler
from pvtt_flow.models.sam2.model import Sam2
from pvtt_flow.models.sam2.official import build_predictor, find_architecture
from pvtt_flow.models.sam2.scheduler import Scheduler
from pvtt_flow.models.sam2.try_tracker import try_tracker
from pvtt_flow.models.sam2.warm_up import warm_up
from pvtt_flow.models.tracker import MemoryRule
from pvtt_flow.types import Prompt
from tests.models.sam2.architectures.transformers_edgetam import TransformersTracker
from tests.models.sam2.compare import Difference, compare, outputs_by_object
from tests.models.sam2.float32_memories import float32_memories
from tests.models.sam2.pair import perturb
from tests.models.sam2.run_scheduler import run
from tests.models.sam2.shots import (
    HEIGHT_PX,
    OFF,
    ON,
    WIDTH_PX,
    Shot,
    box_and_click,
    clicks,
    shot,
    square_box,
)
from tests.models.sam2.small_predictor import OFFICIAL_CONFIGS

CPU = torch.device("cpu")
SIZE_PX, MEMORY_SIDE, NUM_FREE = 128, 4, 24


def small_config(
    folder: Path,
    attention: Mapping[str, Any] = MappingProxyType({}),
    perceiver: Mapping[str, Any] = MappingProxyType({}),
) -> Path:
    """Write the config for small images, with fewer tokens of a memory, and changes."""
    tree = yaml.safe_load(shipped_configs()["edgetam"].read_text())
    model = tree["model"]
    model["image_size"] = SIZE_PX
    latents = {"num_latents": NUM_FREE, "num_latents_2d": MEMORY_SIDE**2}
    model["spatial_perceiver"] |= latents | dict(perceiver)
    sizes = {"q_sizes": [SIZE_PX // 16] * 2, "k_sizes": [MEMORY_SIDE] * 2}
    model["memory_attention"]["layer"]["cross_attention"] |= sizes | dict(attention)
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return random_predictor(small_config(tmp_path_factory.mktemp("edgetam")), presence=3.0)


def random_predictor(config: Path, presence: float) -> Any:
    """Build a predictor whose batch norms have the statistics of random images.

    Otherwise values would grow from layer to layer, and rounding errors with them.
    """
    torch.manual_seed(0)
    predictor = perturb(build_predictor(None, config, CPU), presence)
    trunk = predictor.image_encoder.trunk.train()
    for norm in (m for m in trunk.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        norm.reset_running_stats()
        # The mean of all batches.
        norm.momentum = None
    with torch.inference_mode():
        trunk(torch.randn(2, 3, SIZE_PX, SIZE_PX))
    trunk.eval()
    return predictor


def half_image(object_id: int) -> Prompt:
    """Return a mask whose border is one straight line: see `transformers_edgetam`."""
    mask = np.zeros((HEIGHT_PX, WIDTH_PX), np.bool_)
    mask[:, : WIDTH_PX // 2] = True
    return Prompt(object_id=object_id, frame_index=0, mask_rle=rle.encode(mask))


def ragged_shots() -> list[Shot]:
    """Make shots of different lengths, with each kind of prompt, and objects that start late."""
    return [
        shot(3, square_box(0, 0)),
        shot(5, square_box(0, 1), (1, half_image(1)), (3, clicks(2, (26, 30, ON)))),
        shot(
            9,
            (0, box_and_click(0, 0)),
            (2, clicks(1, (20, 30, ON), (80, 60, OFF))),
            square_box(1, 5),
        ),
        shot(19, square_box(0, 0)),
    ]


def make_model(predictor: Any, compiler: Compiler | None = None, **settings: Any) -> Sam2:
    return Sam2(copy.deepcopy(predictor), compiler, architecture=EDGETAM, **settings)


def difference(model: Sam2, predictor: Any, shots: Sequence[Shot]) -> Difference:
    """Compare shots that are tracked together with those of transformers, object by object."""
    reference, total = TransformersTracker(predictor), Difference()
    results = run(model, shots, "both", scheduler=Scheduler(model, 4))
    for each, found in zip(shots, results, strict=True):
        outputs = outputs_by_object(each, found)
        without_iou = {key: replace(out, iou=float("nan")) for key, out in outputs.items()}
        total += compare(without_iou, reference.track(each, "both"))
    return total


@pytest.fixture
def in_float32() -> Iterator[None]:
    with float32_memories():
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("in_float32")
def test_ragged_shots_have_the_masks_of_transformers(predictor: Any) -> None:
    found = difference(make_model(predictor), predictor, ragged_shots()).check()
    assert (found.num_outputs, found.num_absent) == (3 + 15 + 18 + 19, 0)


@pytest.mark.usefixtures("in_float32")
def test_frames_without_the_object(tmp_path: Path) -> None:
    predictor = random_predictor(small_config(tmp_path), presence=0.0)
    found = difference(make_model(predictor), predictor, ragged_shots()[1:3]).check()
    assert 0 < found.num_absent < found.num_outputs


@pytest.mark.usefixtures("in_float32")
def test_masks_are_equal_in_the_shapes_that_are_compiled(
    predictor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each read has its full number of memories and pointers, and one kernel attends for all."""
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    model = make_model(predictor, Compiler(CPU))
    difference(model, predictor, ragged_shots()[1:3]).check()


@pytest.mark.slow
@pytest.mark.usefixtures("in_float32")
def test_nothing_is_compiled_after_the_warm_up(predictor: Any) -> None:
    """Dynamo traces and guards for real."""
    compiler = Compiler(CPU, "eager")
    model = make_model(predictor, compiler)
    with torch.inference_mode():
        warm_up(model, 4, torch.float32)
    difference(model, predictor, ragged_shots()).check()
    assert (compiler.num_graphs, compiler.num_uncompiled_calls) == (6, 0)


@pytest.mark.parametrize("memory", ["samurai", "dam4sam"])
@pytest.mark.usefixtures("in_float32")
def test_a_shot_beside_others_equals_the_shot_alone(predictor: Any, memory: MemoryRule) -> None:
    model = make_model(predictor, keep_alternatives=memory == "dam4sam")
    shots = ragged_shots()[1:3]
    together = run(model, shots, "forward", scheduler=Scheduler(model, 4, memory=memory))
    for each, found in zip(shots, together, strict=True):
        alone = run(model, [each], "forward", scheduler=Scheduler(model, 1, memory=memory))[0]
        compare(outputs_by_object(each, found), outputs_by_object(each, alone)).check()


def test_bfloat16(predictor: Any) -> None:
    """All parts run in bfloat16, and masks stay near those in float32."""
    model, shots = make_model(predictor), ragged_shots()[1:2]
    exact, rounded = (run(model, shots, "both", bfloat16=bf16)[0] for bf16 in (False, True))
    pairs = zip(exact, rounded, strict=True)
    assert min(mask_iou(a.logits > 0, b.logits > 0) for a, b in pairs) > 0.9


def mask_iou(first: Tensor, second: Tensor) -> float:
    either = (first | second).sum()
    return float((first & second).sum() / either) if either else 1.0


def test_names_are_those_of_the_published_checkpoint() -> None:
    """Counts and names as facebookresearch/EdgeTAM's own classes have them."""
    predictor = build_predictor(None, shipped_configs()["edgetam"], CPU)
    shapes = {name: tuple(value.shape) for name, value in predictor.state_dict().items()}
    assert Counter(name.partition(".")[0] for name in shapes) == {
        "image_encoder": 684,
        "sam_mask_decoder": 131,
        "memory_attention": 54,
        "spatial_perceiver": 44,
        "memory_encoder": 40,
        "sam_prompt_encoder": 17,
        "obj_ptr_proj": 6,
        "mask_downsample": 2,
        "maskmem_tpos_enc": 1,
        "no_mem_embed": 1,
        "no_mem_pos_enc": 1,
        "no_obj_ptr": 1,
    }
    for name, shape in PUBLISHED_SHAPES.items():
        assert shapes[name] == shape


PUBLISHED_SHAPES = {
    "image_encoder.trunk.body.stem.conv1.c.weight": (24, 3, 3, 3),
    "image_encoder.trunk.body.stages_0.blocks.0.token_mixer.conv1.bn.running_var": (48,),
    "image_encoder.trunk.body.stages_1.downsample.pre_block.channel_mixer.conv1.c.weight": (
        *(96, 48, 1, 1),
    ),
    "image_encoder.neck.convs.0.conv.weight": (256, 384, 1, 1),
    "memory_attention.layers.1.cross_attn_image.k_proj.weight": (256, 64),
    "spatial_perceiver.latents": (256, 64),
    "spatial_perceiver.latents_2d": (256, 64),
    "spatial_perceiver.layers.1.attn.norm_latents.weight": (64,),
    "spatial_perceiver.layers.1.attn.to_kv.weight": (128, 64),
    "spatial_perceiver.layers.0.self_attn.norm.bias": (64,),
    "spatial_perceiver.layers.0.self_ff.3.weight": (64, 256),
    "spatial_perceiver.norm.weight": (64,),
}


def test_a_memory_has_its_own_tokens(predictor: Any) -> None:
    encoder = make_model(predictor).memory_encoder
    assert (encoder.memory_side, len(encoder.token_positions)) == (4, 4 * 4 + NUM_FREE)
    assert not encoder.token_positions[16:].any(), "tokens of no place come last"
    assert len({tuple(row) for row in encoder.token_positions[:16].tolist()}) == 16


def test_its_config_is_told_from_that_of_sam2() -> None:
    assert find_architecture(shipped_configs()["edgetam"]) is EDGETAM
    assert find_architecture(OFFICIAL_CONFIGS / "sam2.1/sam2.1_hiera_t.yaml") is SAM2


@pytest.mark.parametrize(
    ("attention", "perceiver", "words"),
    [
        ({"k_sizes": [8, 8]}, {}, "has k_sizes=[4, 4], the grid of its memories"),
        ({"k_sizes": [3, 3]}, {"num_latents_2d": 9}, "cut into 3 x 3 windows, got 8 x 8"),
        ({}, {"heads": 2}, "a perceiver must have heads=1, dim_head=dim, "),
        ({}, {"num_latents_2d": 15}, "a square number of them on the grid, got"),
    ],
)
def test_another_kind_is_refused(
    tmp_path: Path, attention: dict[str, Any], perceiver: dict[str, Any], words: str
) -> None:
    config = small_config(tmp_path, attention, perceiver)
    with pytest.raises(ConfigError, match=r"^\$\.tracker\.config must be ") as caught:
        try_tracker(None, config)
    assert words in str(caught.value)


def test_without_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm.models", None)
    with pytest.raises(
        ConfigError, match=r"repvit_m1\.dist_in1k, which .* pip install 'pvtt_flow\[edgetam\]'"
    ):
        build_predictor(None, shipped_configs()["edgetam"], CPU)


@pytest.mark.parametrize("name", ["hf-hub:a/b", "local-dir:/tmp", "hf_hub:a", "", "../a"])
def test_a_network_comes_from_timm_alone(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names that make timm ask a hub, or read a folder."""
    monkeypatch.setattr("timm.models.create_model", None)
    text = shipped_configs()["edgetam"].read_text()
    config = tmp_path / "config.yaml"
    config.write_text(text.replace("repvit_m1.dist_in1k", f"'{name}'"))
    with pytest.raises(ConfigError, match="a network must have a name of timm, got "):
        build_predictor(None, config, CPU)
