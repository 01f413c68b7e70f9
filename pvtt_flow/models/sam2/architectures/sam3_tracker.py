"""The tracker of SAM 3: SAM 2's, with another image encoder, on a grid of 72 x 72.

facebookresearch/sam3 (PyPI `sam3` 0.1.4), sam3/model_builder.py, `build_tracker` with
`apply_temporal_disambiguation=False`, sam3/model/sam3_tracker_base.py and
sam3_tracking_predictor.py; arXiv:2511.16719. Its detector is not part of it.

`clear_non_cond_mem_around_input` is set there, and changes no mask: it clears the memories in
`output_dict_per_obj`, while `propagate_in_video` reads those in `output_dict`, and a click on a
tracked frame reads none (`use_prev_mem_frame=False`).
"""

from pvtt_flow.models.sam2.architectures.architecture import Architecture
from pvtt_flow.models.sam2.architectures.rotary_vit import RotaryVitEncoder
from pvtt_flow.models.sam2.architectures.sam2 import SAM2
from pvtt_flow.models.sam2.architectures.sam3_weights import sam3_tracker_weights

_OURS = "pvtt_flow.models.sam2.architectures"
_SAM2 = "sam2.modeling"

SAM3_TRACKER = Architecture(
    name="sam3_tracker",
    title="a tracker of SAM 3",
    package="sam3",
    classes={
        "model.sam3_tracking_predictor.Sam3TrackerPredictor": f"{_SAM2}.sam2_base.SAM2Base",
        "model.vl_combiner.SAM3VLBackbone": f"{_SAM2}.backbones.image_encoder.ImageEncoder",
        "model.vitdet.ViT": f"{_OURS}.rotary_vit.RotaryVit",
        "model.necks.Sam3DualViTDetNeck": f"{_OURS}.rotary_vit.TrackerNeck",
        "model.position_encoding.PositionEmbeddingSine": (
            f"{_SAM2}.position_encoding.PositionEmbeddingSine"
        ),
        "model.decoder.TransformerEncoderCrossAttention": (
            f"{_SAM2}.memory_attention.MemoryAttention"
        ),
        "model.decoder.TransformerDecoderLayerv2": (
            f"{_SAM2}.memory_attention.MemoryAttentionLayer"
        ),
        "sam.transformer.RoPEAttention": f"{_SAM2}.sam.transformer.RoPEAttention",
        "model.memory.SimpleMaskEncoder": f"{_SAM2}.memory_encoder.MemoryEncoder",
        "model.memory.SimpleMaskDownSampler": f"{_OURS}.resized_masks.ResizedMaskDownSampler",
        "model.memory.SimpleFuser": f"{_SAM2}.memory_encoder.Fuser",
        "model.memory.CXBlock": f"{_SAM2}.memory_encoder.CXBlock",
    },
    required={
        **{name: value for name, value in SAM2.required.items() if name != "backbone_stride"},
        "image_encoder.scalp": 0,
        "clear_non_cond_mem_around_input": True,
    },
    image_encoder=RotaryVitEncoder,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    own_weights=sam3_tracker_weights,
    keeps_soft_edges=True,
    corrects_by_memory=False,
)
