"""Settings of a config: each gives the official predictor's masks, or is refused."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from pvtt_flow.errors import ConfigError
from pvtt_flow.models.sam2.official import build_predictor
from pvtt_flow.models.sam2.try_tracker import try_tracker
from tests.models.sam2.pair import difference_without_copy, perturb
from tests.models.sam2.shots import OFF, ON, Shot, clicks, mask_of, shot, square_box

ATTENTION = "memory_attention.layer"
SETTINGS: list[tuple[str, object]] = [
    ("num_maskmem", 3),
    ("num_maskmem", 1),
    ("num_maskmem", 0),
    ("max_obj_ptrs_in_encoder", 4),
    ("max_obj_ptrs_in_encoder", 1),
    ("sigmoid_scale_for_mem_enc", 10.0),
    ("sigmoid_bias_for_mem_enc", -5.0),
    ("use_mask_input_as_output_without_sam", False),
    ("directly_add_no_mem_embed", False),
    ("no_obj_embed_spatial", False),
    ("use_high_res_features_in_sam", False),
    ("multimask_output_in_sam", False),
    ("multimask_output_for_tracking", False),
    ("use_multimask_token_for_obj_ptr", False),
    ("multimask_min_pt_num", 1),
    ("multimask_max_pt_num", 2),
    ("iou_prediction_use_sigmoid", False),
    ("use_obj_ptrs_in_encoder", False),
    ("add_tpos_enc_to_obj_ptrs", False),
    ("proj_tpos_enc_in_obj_ptrs", False),
    ("use_signed_tpos_enc_to_obj_ptrs", False),
    ("only_obj_ptrs_in_the_past_for_eval", False),
    ("pred_obj_scores", False),
    ("pred_obj_scores_mlp", False),
    ("fixed_no_obj_ptr", False),
    ("soft_no_obj_ptr", True),
    ("use_mlp_for_obj_ptr_proj", False),
    ("memory_temporal_stride_for_eval", 2),
    ("non_overlap_masks_for_mem_enc", True),
    ("non_overlap_masks", True),
    ("clear_non_cond_mem_around_input", True),
    ("max_cond_frames_in_attn", 1),
    ("max_cond_frames_in_attn", 2),
    ("backbone_stride", 8),
    ("image_encoder.scalp", 0),
    ("image_encoder.trunk.q_stride", [1, 1]),
    ("image_encoder.trunk.q_pool", 2),
    ("image_encoder.trunk.num_heads", 2),
    ("image_encoder.trunk.global_att_blocks", [2]),
    ("image_encoder.trunk.window_spec", [4, 4, 4, 4]),
    ("image_encoder.neck.fpn_top_down_levels", [3]),
    ("image_encoder.neck.fpn_interp_model", "bilinear"),
    ("image_encoder.neck.fuse_type", "avg"),
    ("image_encoder.neck.position_encoding.temperature", 100),
    ("memory_attention.pos_enc_at_input", False),
    ("memory_attention.num_layers", 1),
    ("memory_attention.batch_first", False),
    (f"{ATTENTION}.activation", "gelu"),
    (f"{ATTENTION}.pos_enc_at_attn", True),
    (f"{ATTENTION}.pos_enc_at_cross_attn_keys", False),
    (f"{ATTENTION}.pos_enc_at_cross_attn_queries", True),
    (f"{ATTENTION}.self_attention.rope_theta", 100.0),
    (f"{ATTENTION}.self_attention.num_heads", 2),
    (f"{ATTENTION}.self_attention.downsample_rate", 2),
    (f"{ATTENTION}.cross_attention.rope_theta", 100.0),
    (f"{ATTENTION}.cross_attention.rope_k_repeat", False),
    (f"{ATTENTION}.cross_attention.downsample_rate", 2),
    (f"{ATTENTION}.self_attention._target_", "sam2.modeling.sam.transformer.Attention"),
    ("memory_encoder.fuser.num_layers", 1),
    ("memory_encoder.fuser.layer.use_dwconv", False),
    ("memory_encoder.mask_downsampler.kernel_size", 5),
    ("memory_encoder.position_encoding.temperature", 100),
]


def changed(config: Path, folder: Path, setting: str, value: object) -> Path:
    tree: dict[str, Any] = yaml.safe_load(config.read_text())
    *parents, name = setting.split(".")
    node = tree["model"]
    for parent in parents:
        node = node[parent]
    node[name] = value
    path = folder / "changed.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


def prompted() -> Shot:
    """Make a shot with a mask, a box, a click, two points, a correction and a late start."""
    return shot(
        5,
        (0, mask_of(0, 0)),
        square_box(1, 1),
        (1, clicks(2, (26, 30, ON))),
        (3, clicks(2, (26, 30, ON), (80, 60, OFF))),
        (3, clicks(1, (30, 30, ON), correction=True)),
        square_box(2, 4),
    )


@pytest.mark.slow
@pytest.mark.parametrize(("setting", "value"), SETTINGS)
def test_a_setting_is_honored_or_refused(
    config: Path, tmp_path: Path, setting: str, value: object
) -> None:
    torch.manual_seed(0)
    path = changed(config, tmp_path, setting, value)
    refusal = refusal_of(path)
    if refusal is not None:
        assert refusal.startswith("$.tracker.config must be ")
        assert "\n" not in refusal
        return
    predictor = perturb(build_predictor(None, path, torch.device("cpu")))
    difference_without_copy(predictor, prompted(), "both").check()


def refusal_of(config: Path) -> str | None:
    try:
        try_tracker(None, config)
    except ConfigError as error:
        return str(error)
    return None


def test_what_is_refused_and_what_is_honored(config: Path, tmp_path: Path) -> None:
    """The settings that the review found ignored, and one of each way to be refused."""
    refusals = {
        "non_overlap_masks": (True, "a SAM 2 with non_overlap_masks=False, as all"),
        "num_maskmem": (1, "a SAM 2 with num_maskmem of at least 2, got 1"),
        f"{ATTENTION}.activation": ("gelu", "whose memory attention has activation=relu, as all"),
        "memory_encoder.mask_downsampler.kernel_size": (5, "that can track, got "),
    }
    for setting, (value, words) in refusals.items():
        refusal = refusal_of(changed(config, tmp_path, setting, value))
        assert refusal is not None
        assert words in refusal
    for setting in ("multimask_output_for_tracking", "use_multimask_token_for_obj_ptr"):
        assert refusal_of(changed(config, tmp_path, setting, value=False)) is None
