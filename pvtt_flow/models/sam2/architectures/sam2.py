"""SAM 2 and SAM 2.1 (facebookresearch/sam2, PyPI `sam2` 1.1.0; arXiv:2408.00714)."""

from pvtt_flow.models.sam2.architectures.architecture import Architecture
from pvtt_flow.models.sam2.image_encoder import ImageEncoder

SAM2 = Architecture(
    name="sam2",
    title="a SAM 2",
    package="sam2",
    required={
        "backbone_stride": 16,
        "image_encoder.scalp": 1,
        "memory_attention.batch_first": True,
        "non_overlap_masks": False,
        "clear_non_cond_mem_around_input": False,
        "use_high_res_features_in_sam": True,
        "use_obj_ptrs_in_encoder": True,
        "only_obj_ptrs_in_the_past_for_eval": True,
        "pred_obj_scores": True,
        "soft_no_obj_ptr": False,
        "directly_add_no_mem_embed": True,
        "use_mask_input_as_output_without_sam": True,
        "non_overlap_masks_for_mem_enc": False,
        "memory_temporal_stride_for_eval": 1,
    },
    image_encoder=ImageEncoder,
)
