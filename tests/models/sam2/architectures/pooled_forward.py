"""Pooled cross-attention as one would write it down, for an official predictor to run."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from pvtt_flow.models.sam2.architectures.pooled_attention import PooledAttention


def forward(
    self: PooledAttention, q: Tensor, k: Tensor, v: Tensor, num_k_exclude_rope: int = 0
) -> Any:
    """Attend from one head's queries (1, T, C) to keys and values (1, L, Cm)."""
    q, k, v = self.q_proj(q), self.k_proj(k), self.v_proj(v)
    side, num_rotated = math.isqrt(q.shape[1]), k.shape[1] - num_k_exclude_rope
    angles = self.compute_cis(end_x=side, end_y=side)
    q = _rotated(q, angles)
    memories = torch.split(_rotated(k[:, :num_rotated], angles), side * side, 1)
    values = torch.split(v[:, :num_rotated], side * side, 1)
    bias = torch.zeros(k.shape[1])
    if len(memories) > 1:
        memories = tuple(_pooled(m, side) + self.key_bias for m in memories)
        values = tuple(_pooled(m, side) for m in values)
        num_pooled = sum(m.shape[1] for m in memories)
        bias = torch.zeros(num_pooled + num_k_exclude_rope)
        bias[:num_pooled] = self.score_bias
    keys = torch.cat([*memories, k[:, num_rotated:]], 1)
    scores = q @ keys.transpose(1, 2) / math.sqrt(q.shape[-1]) + bias
    return self.out_proj(scores.softmax(-1) @ torch.cat([*values, v[:, num_rotated:]], 1))


def _rotated(x: Tensor, angles: Any) -> Tensor:
    pairs = torch.view_as_complex(x.reshape(1, -1, len(angles), x.shape[-1] // 2, 2))
    return torch.view_as_real(pairs * angles).flatten(-2).flatten(1, 2)


def _pooled(memory: Tensor, side: int) -> Tensor:
    grid = memory.transpose(1, 2).reshape(1, -1, side, side)
    return functional.avg_pool2d(grid, 2).flatten(2).transpose(1, 2)
