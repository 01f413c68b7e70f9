"""Memory attention: conditions a frame's tokens on the memories of one object.

    tokens ─ self-attention ─ cross-attention to (memories, object pointers) ─ MLP ─┐
       └──────────────────────────────── each layer ────────────────────────────────┘

Computes the same function as sam2/modeling/memory_attention.py, `MemoryAttention`, rearranged for
many objects at once:

- Absorbed value projection. Values are not rotated and attention weights sum to 1, so
  `P (M Wv + bv) Wo + bo = (P M) (Wv Wo) + (bv Wo + bo)`: raw memories are the values, with a
  quarter of a key's channels, and one small product follows.
- First layer once a frame. Its self-attention and its cross-attention queries do not depend on
  memory, so the objects of a frame share them (`frame_tokens`).

Where the architecture pools memories (EfficientTAM's variants), keys and values are pooled after
the rotary encoding; pooling commutes with the value projection.

Rotary encoding uses complex numbers on a CPU, where real ones are slower
(tests/bench/savings.json).
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

from pvtt_flow.errors import ConfigError
from pvtt_flow.models.sam2.architectures.pooled_attention import PooledAttention
from pvtt_flow.models.sam2.attention_kernels import BY_OBJECT, TORCH, ChosenKernels
from pvtt_flow.models.sam2.packed_linear import PackedLinear
from pvtt_flow.models.sam2.tensors import FrameTokens, MemoryContext


class MemoryAttention:
    """Official memory attention weights, rearranged."""

    def __init__(
        self,
        official: Any,
        position: Tensor,
        memory_side: int | None = None,
        *,
        fused: bool = False,
    ) -> None:
        """Take the official module and the position encoding (T, C) of a frame's tokens.

        `memory_side` is the side of the memories' grid where it is not the frame's. `fused`
        computes attention of all objects in one kernel of torch, as on CUDA.
        """
        fused = fused or position.is_cuda
        side = math.isqrt(len(position))
        sides = side, memory_side or side
        self.kernels = ChosenKernels(TORCH if fused else BY_OBJECT)
        """Kernels for the attention to memories."""
        self._layers = [_Layer(each, *sides, self.kernels, fused=fused) for each in official.layers]
        self._norm = official.norm
        self.pools_memories = any(layer.pools_memories for layer in self._layers)
        """True if objects with several memories attend to pooled ones."""
        self._position = 0.1 * position if official.pos_enc_at_input else torch.zeros_like(position)

    def frame_tokens(self, vision_features: Tensor) -> FrameTokens:
        """Compute what the objects of a frame share from its features (F, T, C)."""
        first = self._layers[0]
        tokens = first.self_attention(vision_features + self._position)
        return FrameTokens(tokens=tokens, queries=first.cross_attention_queries(tokens))

    def __call__(self, frame_tokens: FrameTokens, context: MemoryContext) -> Tensor:
        """Condition the frame tokens of b objects on their memories; return tokens (b, T, C)."""
        tokens, queries = frame_tokens.tokens, frame_tokens.queries
        for index, layer in enumerate(self._layers):
            if index:
                tokens = layer.self_attention(tokens)
                queries = layer.cross_attention_queries(tokens)
            tokens = layer.mlp(layer.cross_attention(tokens, queries, context))
        normed: Tensor = self._norm(tokens)
        return normed


class _Layer:
    """`MemoryAttentionLayer` with one head; each part includes its norm and residual."""

    def __init__(
        self, official: Any, side: int, memory_side: int, kernels: ChosenKernels, *, fused: bool
    ) -> None:
        self_attn, cross_attn = official.self_attn, official.cross_attn_image
        _check(official, self_attn, cross_attn, memory_side)
        # Queries, keys and values of self-attention are alike, for which all kernels are tuned.
        self._attend_to_self = (TORCH if fused else BY_OBJECT).attend
        self._attend_to_memories = kernels
        self._apply_rotary = apply_rotary_in_real_numbers if fused else apply_rotary
        self.pools_memories = isinstance(cross_attn, PooledAttention)
        self._pooled_key_bias: float = getattr(cross_attn, "key_bias", 0.0)
        self._pooled_score_bias: float = getattr(cross_attn, "score_bias", 0.0)
        self._norms = official.norm1, official.norm2, official.norm3
        self._self_qkv = _concatenate(self_attn.q_proj, self_attn.k_proj, self_attn.v_proj)
        self._self_out = PackedLinear(self_attn.out_proj.weight, self_attn.out_proj.bias)
        self._cross_query = PackedLinear(cross_attn.q_proj.weight, cross_attn.q_proj.bias)
        self._cross_key = PackedLinear(cross_attn.k_proj.weight, cross_attn.k_proj.bias)
        self._cross_out = _absorb_value(cross_attn.v_proj, cross_attn.out_proj)
        self._linear1 = PackedLinear(official.linear1.weight, official.linear1.bias, "relu")
        self._linear2 = PackedLinear(official.linear2.weight, official.linear2.bias)
        self._self_freqs = _frequencies(self_attn, side)
        self._query_freqs = _frequencies(cross_attn, side)
        self._key_freqs = _frequencies(cross_attn, memory_side)

    def self_attention(self, tokens: Tensor) -> Tensor:
        q, k, v = self._self_qkv(self._norms[0](tokens)).chunk(3, dim=-1)
        q, k = (self._apply_rotary(x, self._self_freqs) for x in (q, k))
        return tokens + self._self_out(self._attend_to_self(q, k, v, None))

    def cross_attention_queries(self, tokens: Tensor) -> Tensor:
        return self._apply_rotary(self._cross_query(self._norms[1](tokens)), self._query_freqs)

    def cross_attention(self, tokens: Tensor, queries: Tensor, context: MemoryContext) -> Tensor:
        keys = self._cross_key(context.keys)
        keys = self._apply_rotary(keys, self._key_freqs, context.num_rotated)
        values, bias = context.values, context.bias
        if context.is_pooled:
            keys, values, bias = self._pool(keys, values, bias, context.num_rotated)
        attended = self._attend_to_memories(queries, keys, values, bias)
        return tokens + self._cross_out(attended)

    def _pool(
        self, keys: Tensor, values: Tensor, bias: Tensor | None, num_rotated: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Pool the leading tokens, which lie on the grid, 2 x 2, and leave the rest."""
        side = math.isqrt(len(self._key_freqs))
        pooled_keys = _pool(keys[:, :num_rotated], side) + self._pooled_key_bias
        pooled_values = _pool(values[:, :num_rotated], side)
        if bias is None:
            bias = keys.new_zeros(len(keys), 1, keys.shape[1], dtype=torch.float32)
        # All tokens of a memory have one bias.
        pooled_bias = bias[:, :, :num_rotated:4] + self._pooled_score_bias
        return (
            torch.cat([pooled_keys, keys[:, num_rotated:]], 1),
            torch.cat([pooled_values, values[:, num_rotated:]], 1),
            torch.cat([pooled_bias, bias[:, :, num_rotated:]], 2),
        )

    def mlp(self, tokens: Tensor) -> Tensor:
        return tokens + self._linear2(self._linear1(self._norms[2](tokens)))


def apply_rotary(x: Tensor, freqs_cis: Tensor, num_rotated: int | None = None) -> Tensor:
    """Rotate channel pairs (2i, 2i + 1) of (b, n, C) by the grid position of their token.

    The first `num_rotated` of the n tokens (all when None) lie on the grid, R after R (sam2's
    modeling/position_encoding.py, `apply_rotary_enc`). `freqs_cis` is complex64 (R, C / 2).
    Overwrites a float32 `x`: keys are the largest tensors here, and each pass over them takes time.
    """
    rotated = x.float()
    grid = rotated[:, :num_rotated].unflatten(1, (-1, len(freqs_cis)))
    torch.view_as_complex(grid.unflatten(-1, (-1, 2))).mul_(freqs_cis)
    return rotated.to(x.dtype)


def apply_rotary_in_real_numbers(
    x: Tensor, freqs_cis: Tensor, num_rotated: int | None = None
) -> Tensor:
    """Compute what `apply_rotary` does, without complex numbers: compilers generate no code for
    those. Leaves `x` as it is."""
    cos, sin = freqs_cis.real, freqs_cis.imag
    grid = x[:, :num_rotated].float().unflatten(1, (-1, len(freqs_cis))).unflatten(-1, (-1, 2))
    a, b = grid.unbind(-1)
    turned = torch.stack([a * cos - b * sin, a * sin + b * cos], -1)
    rotated = turned.flatten(-2).flatten(1, 2).to(x.dtype)
    return rotated if num_rotated is None else torch.cat([rotated, x[:, num_rotated:]], 1)


def _pool(tokens: Tensor, side: int) -> Tensor:
    """Average 2 x 2 tokens of grids (b, M * side * side, C); return (b, M * side * side / 4, C)."""
    half = side // 2
    grids = tokens.unflatten(1, (-1, half, 2, half, 2))
    return grids.mean((3, 5)).flatten(1, 3)


def _frequencies(attention: Any, side: int) -> Tensor:
    """Return the rotary frequencies of a square grid, complex64 (side * side, C / 2)."""
    freqs_cis: Tensor = attention.compute_cis(end_x=side, end_y=side)
    return freqs_cis.to(attention.q_proj.weight.device)


def _concatenate(*linears: nn.Linear) -> PackedLinear:
    weight = torch.cat([linear.weight for linear in linears])
    return PackedLinear(weight, torch.cat([linear.bias for linear in linears]))


def _absorb_value(value: nn.Linear, out: nn.Linear) -> PackedLinear:
    """Merge `out(value(x))` into one layer, computed in float64."""
    weight = out.weight.double() @ value.weight.double()
    bias = out.weight.double() @ value.bias.double() + out.bias.double()
    return PackedLinear(weight.float(), bias.float())


def _check(layer: Any, self_attn: Any, cross_attn: Any, memory_side: int) -> None:
    """Raise ConfigError unless the layer is one that `_Layer` computes."""
    attentions, grid = (self_attn, cross_attn), (memory_side, memory_side)
    key_grid = getattr(cross_attn, "key_grid", grid)
    required = {
        "rotary attention": all(hasattr(attention, "compute_cis") for attention in attentions),
        "one head": all(attention.num_heads == 1 for attention in attentions),
        "downsample_rate=1": all(a.internal_dim == a.embedding_dim for a in attentions),
        "rope_k_repeat=True": getattr(cross_attn, "rope_k_repeat", False),
        f"k_sizes={list(grid)}, the grid of its memories": key_grid == grid,
        "activation=relu": layer.activation_str == "relu",
        "position encodings on the keys alone": layer.pos_enc_at_cross_attn_keys
        and not layer.pos_enc_at_attn
        and not layer.pos_enc_at_cross_attn_queries,
    }
    if isinstance(cross_attn, PooledAttention):
        required["an even grid to pool"] = memory_side % 2 == 0
    missing = [name for name, is_met in required.items() if not is_met]
    if missing:
        raise ConfigError(
            f"$.tracker.config must be a SAM 2 whose memory attention has {missing[0]}, as all "
            "official ones have"
        )
