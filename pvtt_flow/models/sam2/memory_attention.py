"""Memory attention: a frame's tokens read one object's past (sam2's modeling/memory_attention.py).

    tokens ─ self-attention ─ cross-attention over (memories, pointers) ─ MLP ─┐
       └─────────────────────────── every layer ───────────────────────────────┘

The same function as the official one, arranged for many objects at once:

- Values absorbed. Values are not rotated and attention weights sum to 1, so
  `P (M Wv + bv) Wo + bo = (P M) (Wv Wo) + (bv Wo + bo)`: the raw memory is the value, a quarter of
  the width of a key, and one small product follows.
- Layer 0 once a frame. Its self-attention and its queries know nothing of memory, so the objects
  of a frame share them (`start`).

Rotary encoding stays complex: in real numbers it is slower on a CPU (tests/bench/savings.json).
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pvtt_flow.errors import ConfigError
from pvtt_flow.models.sam2.packed_linear import Dense, product
from pvtt_flow.models.sam2.tensors import Past, Start


class MemoryAttention:
    """The official module's weights, rearranged."""

    def __init__(self, official: Any, position: Tensor) -> None:
        """`position`: the tokens' own encoding (T, C)."""
        self._layers = [_Layer(layer, len(position)) for layer in official.layers]
        self._norm = official.norm
        self._position = 0.1 * position if official.pos_enc_at_input else torch.zeros_like(position)

    def start(self, tokens: Tensor) -> Start:
        """What the objects of a frame share, from its features (F, T, C)."""
        first = self._layers[0]
        tokens = first.attend_self(tokens + self._position)
        return Start(tokens=tokens, queries=first.queries(tokens))

    def __call__(self, start: Start, past: Past) -> Tensor:
        """The tokens (b, T, C) of b objects' frames that know their past."""
        tokens, queries = start.tokens, start.queries
        for index, layer in enumerate(self._layers):
            if index:
                tokens = layer.attend_self(tokens)
                queries = layer.queries(tokens)
            tokens = layer.think(layer.attend_memory(tokens, queries, past))
        normed: Tensor = self._norm(tokens)
        return normed


class _Layer:
    def __init__(self, official: Any, num_tokens: int) -> None:
        own, cross = official.self_attn, official.cross_attn_image
        _check(official, own, cross)
        self._norms = official.norm1, official.norm2, official.norm3
        self._own_qkv = _joined(own.q_proj, own.k_proj, own.v_proj)
        self._own_out = Dense(own.out_proj.weight, own.out_proj.bias)
        self._query = Dense(cross.q_proj.weight, cross.q_proj.bias)
        self._key = Dense(cross.k_proj.weight, cross.k_proj.bias)
        self._out = _absorbed(cross.v_proj, cross.out_proj)
        self._mlp1 = Dense(official.linear1.weight, official.linear1.bias, "relu")
        self._mlp2 = Dense(official.linear2.weight, official.linear2.bias)
        side = math.isqrt(num_tokens)
        device = own.q_proj.weight.device
        self._turns: Tensor = own.compute_cis(end_x=side, end_y=side).to(device)

    def attend_self(self, tokens: Tensor) -> Tensor:
        q, k, v = self._own_qkv(self._norms[0](tokens)).chunk(3, dim=-1)
        seen = _attend(self._rotated(q), self._rotated(k), v, None)
        return tokens + self._own_out(seen)

    def queries(self, tokens: Tensor) -> Tensor:
        return self._rotated(self._query(self._norms[1](tokens)))

    def attend_memory(self, tokens: Tensor, queries: Tensor, past: Past) -> Tensor:
        keys = self._rotated(self._key(past.keys), past.num_rotated)
        return tokens + self._out(_attend(queries, keys, past.values, past.bias))

    def think(self, tokens: Tensor) -> Tensor:
        return tokens + self._mlp2(self._mlp1(self._norms[2](tokens)))

    def _rotated(self, x: Tensor, num_rotated: int | None = None) -> Tensor:
        """(b, n, C) whose channel pairs (2i, 2i + 1) are turned by the token's place.

        The first `num_rotated` of n (all when not given) lie on the grid, T after T. Overwrites a
        float32 `x`: keys are the largest tensors here, and each pass over them counts.
        """
        turned = x.float()
        grid = turned[:, :num_rotated].unflatten(1, (-1, len(self._turns))).unflatten(-1, (-1, 2))
        torch.view_as_complex(grid).mul_(self._turns)
        return turned.to(x.dtype)


def _attend(queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None) -> Tensor:
    """softmax(Q Kᵀ / √C + bias) V, one head: (b, T, C), (b, L, C), (b, L, V) to (b, T, V)."""
    if queries.is_cuda:
        mask = None if bias is None else bias[:, None].to(queries.dtype)
        q, k, v = queries[:, None], keys[:, None], values[:, None].to(queries.dtype)
        return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)[:, 0]
    # One by one: an object's scores fit into a CPU's cache, and its fused kernel is far slower.
    scaled = (queries / math.sqrt(queries.shape[-1])).contiguous()
    # Of rows that lie apart the products would be hundreds of times slower.
    keys, values = keys.contiguous(), values.contiguous()
    biases = [None] * len(keys) if bias is None else bias[:, 0].to(queries.dtype)
    each = zip(scaled, keys, values, biases, strict=True)
    return torch.stack([product(product(q, k, b).softmax(-1), v.T) for q, k, v, b in each])


def _joined(*linears: nn.Linear) -> Dense:
    weight = torch.cat([linear.weight for linear in linears])
    return Dense(weight, torch.cat([linear.bias for linear in linears]))


def _absorbed(value: nn.Linear, out: nn.Linear) -> Dense:
    """`out(value(x))` as one product, made in double precision."""
    weight = out.weight.double() @ value.weight.double()
    bias = out.weight.double() @ value.bias.double() + out.bias.double()
    return Dense(weight.float(), bias.float())


def _check(layer: Any, own: Any, cross: Any) -> None:
    heads = own.num_heads, cross.num_heads
    elsewhere = layer.pos_enc_at_attn or layer.pos_enc_at_cross_attn_queries
    if heads != (1, 1) or elsewhere or not layer.pos_enc_at_cross_attn_keys:
        raise ConfigError(
            f"$.tracker.config must be a SAM 2 whose memory attention has one head and position "
            f"encodings on the keys alone, as all official ones have, got {heads} heads"
        )
