"""EdgeTAM of transformers with the weights of one of ours, tracking one object after another.

transformers follows facebookresearch/EdgeTAM except in two things, at mask prompts: its object
pointer is that of the best of three masks, where the official one is that of the single mask
(`SAM2Base._use_mask_as_output`); and it remembers the mask as given, where the official predictor
remembers the one that it predicts, at a quarter of the size (`_run_memory_encoder`). The first is
set right here. Masks whose border is one straight line, from side to side, are remembered alike.
"""

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from pvtt_flow.models.sam2.prompt_encoding import PromptTensors, encode_prompts
from tests.models.sam2.official import ObjectOutput, official_images
from tests.models.sam2.run_scheduler import Direction
from tests.models.sam2.shots import Shot

# Official names to those of transformers, applied in order.
_NAMES = [
    (r"^image_encoder\.trunk\.body\.", "vision_encoder.backbone.timm_model."),
    (r"^image_encoder\.neck\.convs\.(\d)\.conv", r"vision_encoder.neck.convs.\1"),
    (r"^maskmem_tpos_enc", "memory_temporal_positional_encoding"),
    (r"^no_mem_embed", "no_memory_embedding"),
    (r"^no_mem_pos_enc", "no_memory_positional_encoding"),
    (r"^no_obj_ptr", "no_object_pointer"),
    (r"^obj_ptr_proj", "object_pointer_proj"),
    (r"^(memory_attention\..*)linear1", r"\1mlp.up_proj"),
    (r"^(memory_attention\..*)linear2", r"\1mlp.down_proj"),
    (
        r"^memory_encoder\.mask_downsampler\.encoder\.12",
        "memory_encoder.mask_downsampler.final_conv",
    ),
    (r"^memory_encoder\.pix_feat_proj", "memory_encoder.feature_projection"),
    (r"^memory_encoder\.out_proj", "memory_encoder.projection"),
    (r"^memory_encoder\.fuser", "memory_encoder.memory_fuser"),
    (r"^(memory_encoder\..*)gamma", r"\1scale"),
    (r"^(memory_encoder\..*)dwconv", r"\1depthwise_conv"),
    (r"^(memory_encoder\..*)pwconv", r"\1pointwise_conv"),
    (r"^(memory_encoder\.memory_fuser\.layers\.\d\.)norm", r"\1layer_norm"),
    (r"^sam_prompt_encoder\.pe_layer\..*", "shared_image_embedding.positional_embedding"),
    (r"^sam_prompt_encoder\.mask_downscaling\.0", "prompt_encoder.mask_embed.conv1"),
    (r"^sam_prompt_encoder\.mask_downscaling\.1", "prompt_encoder.mask_embed.layer_norm1"),
    (r"^sam_prompt_encoder\.mask_downscaling\.3", "prompt_encoder.mask_embed.conv2"),
    (r"^sam_prompt_encoder\.mask_downscaling\.4", "prompt_encoder.mask_embed.layer_norm2"),
    (r"^sam_prompt_encoder\.mask_downscaling\.6", "prompt_encoder.mask_embed.conv3"),
    (r"^sam_(prompt_encoder|mask_decoder)", r"\1"),
    (r"output_upscaling\.0", "upscale_conv1"),
    (r"output_upscaling\.1", "upscale_layer_norm"),
    (r"output_upscaling\.3", "upscale_conv2"),
    (r"(mlps\.\d|head|pointer_proj|mlp)\.layers\.0\.", r"\1.proj_in."),
    (r"(layers\.\d\.mlp)\.layers\.1\.", r"\1.proj_out."),
    (r"(mlps\.\d|head|pointer_proj)\.layers\.1\.", r"\1.layers.0."),
    (r"(mlps\.\d|head|pointer_proj)\.layers\.2\.", r"\1.proj_out."),
    (r"spatial_perceiver\.latents$", "spatial_perceiver.latents_1d"),
    (r"\.attn\.norm_x\.", ".layer_norm_input."),
    (r"\.attn\.norm_latents\.", ".layer_norm_latents."),
    (r"\.self_attn\.norm\.", ".layer_norm_self."),
    (r"^(spatial_perceiver\..*\.)attn\.", r"\1cross_attention."),
    (r"^(spatial_perceiver\..*\.)self_attn\.", r"\1self_attention."),
    (r"\.(self_)?ff\.0\.", r".\1mlp.layer_norm."),
    (r"\.(self_)?ff\.1\.", r".\1mlp.up_proj."),
    (r"\.(self_)?ff\.3\.", r".\1mlp.down_proj."),
    (r"\.to_q\.", ".q_proj."),
    (r"\.(out_proj|to_out)\.", ".o_proj."),
    (
        r"^(memory_attention|mask_decoder|spatial_perceiver)(\..*)?\.norm(\d?)\.",
        r"\1\2.layer_norm\3.",
    ),
    (r"\.norm_final_attn", ".layer_norm_final_attn"),
]
_DOWNSAMPLER = re.compile(r"^memory_encoder\.mask_downsampler\.encoder\.(\d+)\.")


class TransformersTracker:
    """EdgeTAM of transformers that tracks a `Shot`."""

    def __init__(self, predictor: Any) -> None:
        """Take the weights and sizes of a predictor of ours, which is left as it is."""
        self._size_px: int = predictor.image_size
        self._model = empty_model(predictor).eval()
        self._model.load_state_dict(_renamed(predictor.state_dict()))

    def track(self, shot: Shot, direction: Direction) -> dict[tuple[int, int], ObjectOutput]:
        """Track each object; return outputs by (object id, position), without IoU."""
        images = official_images(shot.frames, self._size_px)
        outputs: dict[tuple[int, int], ObjectOutput] = {}
        prompts = encode_prompts(shot.prompts, shot.display_px, self._size_px)
        cache = self._session(images).cache
        for object_id, by_position in prompts.items():
            session = self._session(images)
            session.cache = cache
            for output in self._track_object(session, by_position, direction):
                resized = torch.nn.functional.interpolate(
                    output.pred_masks, size=shot.display_px, mode="bilinear", align_corners=False
                )
                outputs[object_id, output.frame_idx] = ObjectOutput(
                    logits=output.pred_masks[0, 0],
                    mask=resized[0, 0] > 0,
                    score=output.object_score_logits.item(),
                    iou=float("nan"),
                )
        return outputs

    def _session(self, images: Tensor) -> Any:
        from transformers import EdgeTamVideoInferenceSession

        return EdgeTamVideoInferenceSession(
            images, dtype=torch.float32, max_vision_features_cache_size=len(images)
        )

    def _track_object(
        self, session: Any, prompts: Mapping[int, PromptTensors], direction: Direction
    ) -> Iterator[Any]:
        index = session.obj_id_to_idx(0)
        for position, prompt in prompts.items():
            if prompt.mask is None:
                points = {
                    "point_coords": prompt.points[None, None],
                    "point_labels": prompt.labels[None, None],
                }
                session.add_point_inputs(index, position, points)
            else:
                session.add_mask_inputs(index, position, prompt.mask[None])
            session.obj_with_new_inputs = [0]
            self._run_prompted_frame(session, position)
        for is_reverse in {"forward": [False], "both": [False, True]}[direction]:
            yield from self._model.propagate_in_video_iterator(
                session, min(prompts), reverse=is_reverse
            )

    def _run_prompted_frame(self, session: Any, position: int) -> None:
        plain = self._model._use_mask_as_output
        single_mask = partial(self._model._single_frame_forward, multimask_output=False)

        def use_mask_as_output(*args: Any, **kwargs: Any) -> Any:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(self._model, "_single_frame_forward", single_mask)
                return plain(*args, **kwargs)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self._model, "_use_mask_as_output", use_mask_as_output)
            self._model(session, frame_idx=position)


def empty_model(predictor: Any) -> Any:
    """Build a model with the published settings and the sizes of a predictor."""
    from transformers import (
        EdgeTamVideoConfig,
        EdgeTamVideoModel,
        EdgeTamVisionConfig,
        TimmWrapperConfig,
    )

    size_px, perceiver = predictor.image_size, predictor.spatial_perceiver
    grid, memory_grid = [size_px // 16] * 2, [perceiver.grid_side] * 2
    backbone = TimmWrapperConfig(
        architecture="repvit_m1",
        model_args={"in_chans": 3, "features_only": True, "out_indices": [0, 1, 2, 3]},
    )
    config = EdgeTamVideoConfig(
        vision_config=EdgeTamVisionConfig(
            backbone_config=backbone,
            backbone_feature_sizes=[[4 * side for side in grid], [2 * side for side in grid], grid],
        ),
        prompt_encoder_config={"image_size": size_px},
        image_size=size_px,
        enable_occlusion_spatial_embedding=False,
        enable_temporal_pos_encoding_for_object_pointers=False,
        memory_attention_rope_feat_sizes=grid,
        memory_attention_rope_k_sizes=memory_grid,
        perceiver_resampler_num_latents=len(perceiver.latents),
        perceiver_resampler_num_latents_2d=len(perceiver.latents_2d),
    )
    return EdgeTamVideoModel(config)


def _renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict with the names of transformers, which has some tensors in parts."""
    renamed: dict[str, Tensor] = {}
    points = [value for name, value in state.items() if ".point_embeddings." in name]
    renamed["prompt_encoder.point_embed.weight"] = torch.cat(points)
    for name, value in state.items():
        new_name = _downsampler_name(name)
        for pattern, replacement in _NAMES:
            new_name = re.sub(pattern, replacement, new_name)
        if ".to_kv." in new_name:
            for part, half in zip("kv", value.chunk(2), strict=True):
                renamed[new_name.replace(".to_kv.", f".{part}_proj.")] = half
        elif ".point_embeddings." not in name:
            renamed[new_name] = value
    shared = "shared_image_embedding.positional_embedding"
    renamed[f"prompt_encoder.{shared.replace('image_', '')}"] = renamed[shared]
    return renamed


def _downsampler_name(name: str) -> str:
    """Name a layer of the mask downsampler by its place: convolution, norm and GELU are three."""
    found = _DOWNSAMPLER.match(name)
    if found is None or found[1] == "12":
        return name
    layer, part = divmod(int(found[1]), 3)
    kind = ("conv", "layer_norm")[part]
    return name.replace(f"encoder.{found[1]}", f"layers.{layer}.{kind}")
