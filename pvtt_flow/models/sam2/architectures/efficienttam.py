"""EfficientTAM: SAM 2 with a plain vision transformer and no high-resolution features.

arXiv:2411.18933; yformer/EfficientTAM, efficient_track_anything/modeling. Its variants `_1` and
`_2` also attend to pooled memories (`pooled_attention.py`).
"""

from pvtt_flow.models.sam2.architectures.architecture import Architecture
from pvtt_flow.models.sam2.architectures.plain_vit import PlainVitEncoder
from pvtt_flow.models.sam2.architectures.sam2 import SAM2

_OURS = "pvtt_flow.models.sam2.architectures"

EFFICIENTTAM = Architecture(
    name="efficienttam",
    title="an EfficientTAM",
    package="efficient_track_anything",
    classes={
        "modeling.efficienttam_base.EfficientTAMBase": "sam2.modeling.sam2_base.SAM2Base",
        "modeling.backbones.vitdet.ViT": f"{_OURS}.plain_vit.PlainVit",
        "modeling.backbones.image_encoder.ViTDetNeck": f"{_OURS}.plain_vit.PlainVitNeck",
        "modeling.sam.transformer.EfficientRoPEAttention1": (
            f"{_OURS}.pooled_attention.ScorePooledAttention"
        ),
        "modeling.sam.transformer.EfficientRoPEAttention2": (
            f"{_OURS}.pooled_attention.KeyPooledAttention"
        ),
    },
    required={
        **SAM2.required,
        "image_encoder.scalp": 0,
        "use_high_res_features_in_sam": False,
    },
    image_encoder=PlainVitEncoder,
)
