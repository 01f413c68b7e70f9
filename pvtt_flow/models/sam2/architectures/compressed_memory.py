"""Parts of a predictor whose memories have a grid of their own (EdgeTAM).

Names of facebookresearch/EdgeTAM, sam2/modeling/sam2_base.py and sam2/modeling/sam/transformer.py.
As those of the package `sam2`, they are not executed: the engine takes their weights and settings.
"""

from collections.abc import Sequence
from typing import Any

from sam2.modeling.sam.transformer import RoPEAttention
from sam2.sam2_video_predictor import SAM2VideoPredictor

from pvtt_flow.models.sam2.architectures.perceiver import PerceiverResampler


class CompressedMemoryPredictor(SAM2VideoPredictor):  # type: ignore[misc]
    """A predictor that compresses the memories that its memory encoder makes."""

    def __init__(self, *, spatial_perceiver: PerceiverResampler, **settings: Any) -> None:
        super().__init__(**settings)
        self.spatial_perceiver = spatial_perceiver


class TwoGridAttention(RoPEAttention):  # type: ignore[misc]
    """Weights of a cross-attention whose queries and keys lie on grids of two sizes."""

    def __init__(self, *, q_sizes: Sequence[int], k_sizes: Sequence[int], **settings: Any) -> None:
        """Take the (w, h) of both grids; queries take that of the frame instead of `q_sizes`."""
        super().__init__(feat_sizes=q_sizes, rope_k_repeat=True, **settings)
        self.key_grid = tuple(k_sizes)
