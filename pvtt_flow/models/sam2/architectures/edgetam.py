"""EdgeTAM: SAM 2 with a small convolutional trunk and compressed memories.

arXiv:2501.07256; facebookresearch/EdgeTAM, sam2/modeling, whose package has the name of SAM 2's. A
memory has 512 tokens instead of a token for each cell of the frame: 256 that lie on a grid of
16 x 16, and 256 of no place (`perceiver.py`).
"""

from pvtt_flow.models.sam2.architectures.architecture import Architecture
from pvtt_flow.models.sam2.architectures.sam2 import SAM2
from pvtt_flow.models.sam2.architectures.timm_trunk import TimmEncoder

_OURS = "pvtt_flow.models.sam2.architectures"

EDGETAM = Architecture(
    name="edgetam",
    title="an EdgeTAM",
    package="sam2",
    own_keys=frozenset({"spatial_perceiver"}),
    classes={
        "modeling.backbones.timm.TimmBackbone": f"{_OURS}.timm_trunk.TimmTrunk",
        "modeling.perceiver.PerceiverResampler": f"{_OURS}.perceiver.PerceiverResampler",
        "modeling.sam.transformer.RoPEAttentionv2": f"{_OURS}.compressed_memory.TwoGridAttention",
    },
    predictor=f"{_OURS}.compressed_memory.CompressedMemoryPredictor",
    required=SAM2.required,
    image_encoder=TimmEncoder,
)
