"""State dicts of SAM 3 with the names of this package, for the modules that its tracker uses.

    file                            image encoder                           the rest of the tracker
    sam3.pt                         detector.backbone.vision_backbone.…     tracker.…
    model.safetensors               detector_model.vision_encoder.…         tracker_model.…
    (of transformers)               tracker_neck.…

Both have the weights of SAM 3's detector too. Its trunk is shared, its other weights are left out,
and so is the coarsest level of the tracker's neck, which is not read. Names that are not known stay
as they are, so that loading them fails.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from pvtt_flow.errors import ConfigError

_State: TypeAlias = dict[str, Tensor]
_Rule: TypeAlias = tuple[str, str | Callable[[re.Match[str]], str]]

_TRUNK = "image_encoder.trunk"
_NECK = "image_encoder.neck.convs"
_POINTS = "sam_prompt_encoder.point_embeddings"

_OFFICIAL_UNUSED = re.compile(
    r"detector\.(?!backbone\.vision_backbone\.(trunk|sam2_convs)\.)|.*\.sam2_convs\.3\.|.*freqs_cis"
)
_OFFICIAL_RULES: Sequence[_Rule] = (
    (r"^detector\.backbone\.vision_backbone\.trunk\.", f"{_TRUNK}."),
    (r"^detector\.backbone\.vision_backbone\.sam2_convs\.", f"{_NECK}."),
    (r"^tracker\.transformer\.encoder\.", "memory_attention."),
    (r"^tracker\.maskmem_backbone\.", "memory_encoder."),
    (r"^tracker\.", ""),
    (r"\.patch_embed\.proj\.", ".patch_embed."),
    (r"\.mlp\.(fc|lin)1\.", ".mlp.layers.0."),
    (r"\.mlp\.(fc|lin)2\.", ".mlp.layers.1."),
)

_TRANSFORMERS_UNUSED = re.compile(
    r"detector_model\.(?!vision_encoder\.backbone\.)|tracker_neck\.fpn_layers\.3\."
)
_TRANSFORMERS_RULES: Sequence[_Rule] = (
    # Prefixes.
    (r"^detector_model\.vision_encoder\.backbone\.", f"{_TRUNK}."),
    (r"^tracker_neck\.fpn_layers\.", f"{_NECK}."),
    (r"^tracker_model\.prompt_encoder\.", "sam_prompt_encoder."),
    (r"^tracker_model\.mask_decoder\.", "sam_mask_decoder."),
    (r"^tracker_model\.", ""),
    # Trunk and neck.
    (r"\.embeddings\.patch_embeddings\.projection\.", ".patch_embed."),
    (r"\.embeddings\.position_embeddings", ".pos_embed"),
    (r"\.trunk\.layer_norm\.", ".trunk.ln_pre."),
    (r"\.trunk\.layers\.", ".trunk.blocks."),
    (r"\.attention\.o_proj\.", ".attn.proj."),
    (r"\.attention\.", ".attn."),
    (r"\.mlp\.(fc1|proj_in)\.", ".mlp.layers.0."),
    (r"\.mlp\.(fc2|proj_out)\.", ".mlp.layers.1."),
    (r"\.convs\.0\.scale_layers\.0\.", ".convs.0.dconv_2x2_0."),
    (r"\.convs\.0\.scale_layers\.2\.", ".convs.0.dconv_2x2_1."),
    (r"\.convs\.1\.scale_layers\.0\.", ".convs.1.dconv_2x2."),
    (r"\.convs\.(\d)\.proj1\.", r".convs.\1.conv_1x1."),
    (r"\.convs\.(\d)\.proj2\.", r".convs.\1.conv_3x3."),
    # Prompt encoder and mask decoder.
    (r"\.shared_embedding\.positional_embedding", ".pe_layer.positional_encoding_gaussian_matrix"),
    (r"\.mask_embed\.conv1\.", ".mask_downscaling.0."),
    (r"\.mask_embed\.layer_norm1\.", ".mask_downscaling.1."),
    (r"\.mask_embed\.conv2\.", ".mask_downscaling.3."),
    (r"\.mask_embed\.layer_norm2\.", ".mask_downscaling.4."),
    (r"\.mask_embed\.conv3\.", ".mask_downscaling.6."),
    (r"\.upscale_conv1\.", ".output_upscaling.0."),
    (r"\.upscale_layer_norm\.", ".output_upscaling.1."),
    (r"\.upscale_conv2\.", ".output_upscaling.3."),
    (r"^object_pointer_proj\.", "obj_ptr_proj."),
    (r"((mlps\.\d|_head|^obj_ptr_proj)\.)layers\.0\.", r"\1layers.1."),
    (r"\.?\bproj_in\.", ".layers.0."),
    (r"\.?\bproj_out\.", ".layers.2."),
    # Memory encoder.
    (r"^memory_encoder\.feature_projection\.", "memory_encoder.pix_feat_proj."),
    (r"^memory_encoder\.projection\.", "memory_encoder.out_proj."),
    (r"\.memory_fuser\.", ".fuser."),
    (r"\.depthwise_conv\.", ".dwconv."),
    (r"\.pointwise_conv", ".pwconv"),
    (r"\.scale$", ".gamma"),
    (
        r"\.mask_downsampler\.layers\.(\d)\.(conv|layer_norm)\.",
        lambda m: f".mask_downsampler.encoder.{3 * int(m[1]) + (m[2] == 'layer_norm')}.",
    ),
    (r"\.mask_downsampler\.final_conv\.", ".mask_downsampler.encoder.12."),
    # Norms and projections of all parts.
    (r"\.layer_norm", ".norm"),
    (r"\.o_proj\.", ".out_proj."),
    # Parameters of the tracker.
    (r"^no_memory_embedding", "no_mem_embed"),
    (r"^no_memory_positional_encoding", "no_mem_pos_enc"),
    (r"^memory_temporal_positional_encoding", "maskmem_tpos_enc"),
    (r"^no_object_pointer", "no_obj_ptr"),
    (r"^occlusion_spatial_embedding_parameter", "no_obj_embed_spatial"),
    (r"^temporal_positional_encoding_projection_layer\.", "obj_ptr_tpos_proj."),
)


def sam3_tracker_weights(state: _State) -> _State:
    """Return the tracker's weights from those of a whole SAM 3, in either form.

    Returns another state dict as it is. Raises ConfigError for weights that contradict each other.
    """
    if any(name.startswith("tracker_model.") for name in state):
        return _from_transformers(state)
    if any(name.startswith("tracker.") for name in state):
        return _from_official(state)
    return state


def _from_official(state: Mapping[str, Tensor]) -> _State:
    renamed = _renamed(state, _OFFICIAL_UNUSED, _OFFICIAL_RULES)
    positions = f"{_TRUNK}.pos_embed"
    if positions in renamed:
        # The first one is that of a class token, which the trunk does not have.
        renamed[positions] = renamed[positions][:, 1:]
    return renamed


def _from_transformers(state: Mapping[str, Tensor]) -> _State:
    renamed = _renamed(state, _TRANSFORMERS_UNUSED, _TRANSFORMERS_RULES)
    _merge_queries_keys_and_values(renamed)
    points = renamed.pop("sam_prompt_encoder.point_embed.weight", torch.empty(0))
    for label, embedding in enumerate(points.split(1)):
        renamed[f"{_POINTS}.{label}.weight"] = embedding
    # transformers keeps two copies of one table of frequencies.
    copy = renamed.pop("shared_image_embedding.positional_embedding", None)
    table = renamed.get("sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix")
    if copy is not None and table is not None and not torch.equal(copy, table):
        raise ConfigError(
            "$.tracker.weights must be a SAM 3, whose tracker has one table of position encoding "
            "for points and for the image, got two that differ"
        )
    return renamed


def _renamed(
    state: Mapping[str, Tensor], unused: re.Pattern[str], rules: Sequence[_Rule]
) -> _State:
    return {_rename(name, rules): v for name, v in state.items() if not unused.match(name)}


def _rename(name: str, rules: Sequence[_Rule]) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def _merge_queries_keys_and_values(state: _State) -> None:
    """Join the three projections of each block of the trunk, in place."""
    for query in [name for name in state if name.startswith(_TRUNK) and ".q_proj." in name]:
        parts = [query.replace(".q_proj.", f".{letter}_proj.") for letter in "qkv"]
        if all(part in state for part in parts):
            joined = torch.cat([state.pop(part) for part in parts])
            state[query.replace(".q_proj.", ".qkv.")] = joined
