"""SAM 3's tracker: the engine gives the masks of transformers' `Sam3TrackerVideoModel`."""

import statistics
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import save_file
from transformers.models.sam3_tracker_video import modeling_sam3_tracker_video as modeling
from transformers.models.sam3_tracker_video.modeling_sam3_tracker_video import (
    Sam3TrackerVideoModel,
)

from pvtt_flow.errors import ConfigError
from pvtt_flow.models.sam2.architectures.rotary_vit import RotaryVitEncoder
from pvtt_flow.models.sam2.architectures.sam3_tracker import SAM3_TRACKER
from pvtt_flow.models.sam2.architectures.sam3_weights import sam3_tracker_weights
from pvtt_flow.models.sam2.architectures.shipped_configs import shipped_configs
from pvtt_flow.models.sam2.compile import Compiler
from pvtt_flow.models.sam2.model import Sam2
from pvtt_flow.models.sam2.official import build_predictor
from pvtt_flow.models.sam2.warm_up import warm_up
from tests.models.sam2.architectures.sam3_reference import (
    FollowingModel,
    published_state,
    small_config,
    small_model,
    track,
)
from tests.models.sam2.compare import Difference, compare, outputs_by_object
from tests.models.sam2.float32_memories import float32_memories
from tests.models.sam2.run_scheduler import run
from tests.models.sam2.shots import OFF, ON, Shot, box_and_click, clicks, mask_of, shot, square_box

CPU = torch.device("cpu")
STRIDE_PX = 14


@pytest.fixture(scope="module")
def reference() -> FollowingModel:
    model = small_model(FollowingModel, STRIDE_PX)
    assert isinstance(model, FollowingModel)
    return model


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written_config(tmp_path_factory.mktemp("config"), STRIDE_PX)


def written_config(folder: Path, patch_px: int) -> Path:
    tree = yaml.safe_load(shipped_configs()["sam3_tracker"].read_text())
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(small_config(tree, patch_px)))
    return path


def engine_with(state: dict[str, torch.Tensor], folder: Path, config: Path) -> Sam2:
    return Sam2(built(state, folder, config), architecture=SAM3_TRACKER)


def built(state: dict[str, torch.Tensor], folder: Path, config: Path) -> Any:
    """Build a predictor from a weights file."""
    path = folder / "model.safetensors"
    save_file({name: value.contiguous() for name, value in state.items()}, path)
    return build_predictor(path, config, CPU)


def difference(model: Sam3TrackerVideoModel, engine: Sam2, shots: list[Shot]) -> Difference:
    """Compare shots that the engine tracks together with each object tracked alone."""
    with float32_memories(modeling):
        results = run(engine, shots, "both")
        actual = [outputs_by_object(*pair) for pair in zip(shots, results, strict=True)]
        expected = [track(model, each) for each in shots]
    return sum(map(compare, actual, expected), Difference())


def test_the_pyramid_is_that_of_transformers(
    reference: FollowingModel, config: Path, tmp_path: Path
) -> None:
    predictor = built(published_state(reference), tmp_path, config)
    torch.manual_seed(1)
    images = torch.randn(2, 3, reference.image_size, reference.image_size)
    encoder = RotaryVitEncoder(predictor.image_encoder, reference.image_size)
    with torch.inference_mode():
        actual = encoder(images)
        expected = reference.vision_encoder(images).fpn_hidden_states[:3]
    assert [level.shape[-1] for level in actual] == [32, 16, 8]
    for level, wanted in zip(actual, expected, strict=True):
        assert wanted.abs().max() > 0.5
        torch.testing.assert_close(level, wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
def test_ragged_shots_have_the_masks_of_each_object_alone(
    reference: FollowingModel, config: Path, tmp_path: Path
) -> None:
    shots = [
        shot(4, square_box(0, 0), (0, mask_of(1, 0)), (2, clicks(2, (26, 30, ON), (80, 60, OFF)))),
        shot(3, (1, clicks(0, (30, 30, ON)))),
        shot(5, (3, box_and_click(0, 3)), (1, clicks(0, (30, 30, ON), correction=True))),
        # On its last frame the first prompt is too old to be read.
        shot(
            18,
            *(square_box(0, position) for position in (1, 3, 4, 16)),
            (0, mask_of(0, 0)),
            (6, clicks(0, (26, 30, ON))),
            (5, clicks(0, (26, 30, ON), (80, 60, OFF), correction=True)),
        ),
    ]
    engine = engine_with(published_state(reference), tmp_path, config)
    found = difference(reference, engine, shots).check()
    assert found.num_outputs == 12 + 3 + 5 + 18


def test_absent_objects_are_remembered_as_such(config: Path, tmp_path: Path) -> None:
    model = small_model(FollowingModel, STRIDE_PX)
    moving = shot(6, (0, mask_of(0, 0)))
    scores = [output.score for (_, k), output in track(model, moving).items() if k]
    with torch.no_grad():
        # Absent on the frame with the median score, and on others.
        model.mask_decoder.pred_obj_score_head.proj_out.bias.sub_(statistics.median(scores) + 1e-4)
    engine = engine_with(published_state(model), tmp_path, config)
    found = difference(model, engine, [moving]).check()
    assert 0 < found.num_absent < found.num_outputs


def test_the_masks_are_those_of_transformers_as_it_is(tmp_path: Path) -> None:
    """With patches of 16 px, prompts without masks and few of them, nothing differs from it."""
    model = small_model(Sam3TrackerVideoModel, 16)
    engine = engine_with(published_state(model), tmp_path, written_config(tmp_path, 16))
    shots = [
        shot(4, square_box(0, 0), (2, clicks(1, (26, 30, ON), (80, 60, OFF)))),
        shot(6, *(square_box(0, position) for position in (1, 2, 4))),
    ]
    assert difference(model, engine, shots).check().num_outputs == 8 + 6


@pytest.mark.slow
def test_nothing_is_compiled_after_the_warm_up(
    reference: FollowingModel, config: Path, tmp_path: Path
) -> None:
    compiler = Compiler(CPU, "eager")
    predictor = built(published_state(reference), tmp_path, config)
    engine = Sam2(predictor, compiler, architecture=SAM3_TRACKER)
    shots = [shot(4, square_box(0, 0), (0, mask_of(1, 0))), shot(3, square_box(0, 1))]
    with float32_memories(modeling), torch.inference_mode():
        warm_up(engine, 2, torch.float32)
        for each, results in zip(shots, run(engine, shots, "both"), strict=True):
            compare(outputs_by_object(each, results), track(reference, each)).check()
    assert (compiler.num_graphs, compiler.num_uncompiled_calls) == (6, 0)


def test_the_published_config_has_the_weights_of_the_published_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A model on the meta device must still compute this.
    monkeypatch.setattr(torch, "linspace", partial(torch.linspace, device="cpu"))
    with torch.device("meta"):
        predictor = build_predictor(None, shipped_configs()["sam3_tracker"], torch.device("meta"))
    # Of `sam3.pt` 32 blocks of 12 and 5 other weights in the trunk, and 18 in the neck.
    state = predictor.state_dict()
    parts = Counter(".".join(name.split(".")[:2]) for name in state)
    assert (parts["image_encoder.trunk"], parts["image_encoder.neck"]) == (388, 18)
    trunk = predictor.image_encoder.trunk
    assert sum(value.numel() for value in trunk.parameters()) == 446_236_672
    assert len(state) == 715


def test_the_official_file_has_the_same_weights(
    reference: FollowingModel, config: Path, tmp_path: Path
) -> None:
    ours = built(published_state(reference), tmp_path, config).state_dict()
    official = official_state(ours)
    trunk = "detector.backbone.vision_backbone.trunk"
    assert official[f"{trunk}.pos_embed"].shape == (1, 10, 64)
    assert f"{trunk}.blocks.2.mlp.fc2.weight" in official
    assert "tracker.transformer.encoder.layers.1.cross_attn_image.k_proj.weight" in official
    found = built(official, tmp_path, config).state_dict()
    assert list(found) == list(ours)
    assert all(torch.equal(found[name], ours[name]) for name in ours)


def official_state(ours: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return weights as in sam3.pt, from a predictor's."""
    vision = "detector.backbone.vision_backbone"
    renamed = {
        "image_encoder.trunk.": f"{vision}.trunk.",
        "image_encoder.neck.convs.": f"{vision}.sam2_convs.",
        "memory_attention.": "tracker.transformer.encoder.",
        "memory_encoder.": "tracker.maskmem_backbone.",
    }
    state = {
        f"{vision}.trunk.blocks.0.attn.freqs_cis": torch.ones(25, 16),
        f"{vision}.convs.0.conv_1x1.weight": torch.ones(3),
        f"{vision}.sam2_convs.3.conv_1x1.weight": torch.ones(3),
        "detector.transformer.encoder.layers.0.norm1.weight": torch.ones(3),
    }
    for name, value in ours.items():
        before = next((each for each in renamed if name.startswith(each)), "")
        long = renamed.get(before, "tracker.") + name.removeprefix(before)
        long = long.replace("patch_embed.", "patch_embed.proj.")
        for number, layer in enumerate(("1", "2")):
            kind = "fc" if ".trunk." in long else "lin"
            long = long.replace(f".mlp.layers.{number}.", f".mlp.{kind}{layer}.")
        state[long] = value
    positions = f"{vision}.trunk.pos_embed"
    state[positions] = torch.cat([torch.ones(1, 1, 64), state[positions]], 1)
    return state


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tracker_neck.fpn_layers.0.scale_layers.2.bias", "neck.convs.0.dconv_2x2_1.bias"),
        ("tracker_model.no_object_pointer", "no_obj_ptr"),
        ("detector_model.vision_encoder.backbone.layers.1.attention.k_proj.bias", "qkv.bias"),
    ],
)
def test_each_weight_is_needed(
    reference: FollowingModel, config: Path, tmp_path: Path, name: str, words: str
) -> None:
    state = published_state(reference)
    del state[name]
    with pytest.raises(ConfigError, match=f"Missing key.*{words}"):
        built(state, tmp_path, config)


def test_each_weight_of_the_tracker_is_used(
    reference: FollowingModel, config: Path, tmp_path: Path
) -> None:
    state = published_state(reference) | {"tracker_model.other": torch.ones(1)}
    with pytest.raises(ConfigError, match=r'Unexpected key.*"other"'):
        built(state, tmp_path, config)


def test_two_tables_of_position_encoding_must_be_equal(reference: FollowingModel) -> None:
    state = published_state(reference)
    state["tracker_model.shared_image_embedding.positional_embedding"] = torch.zeros(2, 128)
    with pytest.raises(ConfigError, match="got two that differ"):
        sam3_tracker_weights(state)


def test_the_trunk_has_the_size_of_images(config: Path, tmp_path: Path) -> None:
    tree = yaml.safe_load(config.read_text())
    tree["model"]["image_size"] = 140
    path = tmp_path / "other.yaml"
    path.write_text(yaml.safe_dump(tree))
    predictor = build_predictor(None, path, CPU)
    with pytest.raises(ConfigError, match=r"must have the same image_encoder.*got 112 and 140"):
        Sam2(predictor, architecture=SAM3_TRACKER)
