"""EfficientTAM's cross-attention to pooled memories, with a quarter of their tokens.

Names of efficient_track_anything/modeling/sam/transformer.py. An object with one memory attends to
it as it is. The official code of the second variant adds the logarithm to the keys, where that of
the first adds it to the scores; both are followed.
"""

import math

from sam2.modeling.sam.transformer import RoPEAttention

# Each pooled token stands for four.
_LOG_WEIGHT = math.log(4)


class PooledAttention(RoPEAttention):  # type: ignore[misc]
    """Weights of a cross-attention whose rotated keys and values are means of 2 x 2 tokens."""

    score_bias = 0.0
    """Number that is added to the score of each pooled token."""
    key_bias = 0.0
    """Number that is added to each channel of each pooled key."""


class ScorePooledAttention(PooledAttention):
    """`EfficientRoPEAttention1`, of the variants `_1`."""

    score_bias = _LOG_WEIGHT


class KeyPooledAttention(PooledAttention):
    """`EfficientRoPEAttention2`, of the variants `_2`."""

    key_bias = _LOG_WEIGHT
