"""Perceiver that EdgeTAM puts behind the memory encoder: a feature grid becomes a few tokens.

Two sets of learned latents read the grid of a memory (arXiv:2501.07256, section 3.2): each of the
first set reads the whole grid, each of the second one reads the window of the grid that is its own,
so these lie on a coarser grid themselves. Modules have the names of facebookresearch/EdgeTAM,
sam2/modeling/perceiver.py, so that its checkpoints load. Both sets share all layers, hence keys and
values are computed once for both.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class PerceiverResampler(nn.Module):
    """Latents that attend to a grid, layer by layer, each with one head."""

    def __init__(  # noqa: PLR0913 (the keys of a config)
        self,
        *,
        dim: int,
        depth: int,
        num_latents: int,
        num_latents_2d: int,
        position_encoding: nn.Module,
        dim_head: int = 64,
        heads: int = 1,
        ff_mult: int = 4,
        hidden_dropout_p: float = 0.0,
        attention_dropout_p: float = 0.0,
        pos_enc_at_key_value: bool = True,
        concat_kv_latents: bool = False,
        use_self_attn: bool = True,
    ) -> None:
        """Take the settings of the published config; raise ValueError for another kind.

        Dropout is for training.
        """
        super().__init__()
        del hidden_dropout_p, attention_dropout_p
        kind = heads, dim_head, pos_enc_at_key_value, concat_kv_latents, use_self_attn
        if kind != (1, dim, True, False, True):
            raise ValueError(
                "a perceiver must have heads=1, dim_head=dim, pos_enc_at_key_value=True, "
                f"concat_kv_latents=False and use_self_attn=True, got {kind}"
            )
        self.grid_side = math.isqrt(num_latents_2d)
        if num_latents < 1 or num_latents_2d < 1 or self.grid_side**2 != num_latents_2d:
            raise ValueError(
                "a perceiver must have latents of both kinds, a square number of them on the grid, "
                f"got num_latents={num_latents} and num_latents_2d={num_latents_2d}"
            )
        self.latents = nn.Parameter(torch.randn(num_latents, dim))
        self.latents_2d = nn.Parameter(torch.randn(num_latents_2d, dim))
        self.position_encoding = position_encoding
        self.layers: Any = nn.ModuleList(_Layer(dim, dim * ff_mult) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)

    @torch.no_grad()
    def token_positions(self) -> Tensor:
        """Return the position encodings (M, C) of the tokens; those of no place have none."""
        side = self.grid_side
        blank = self.latents_2d.T.reshape(1, -1, side, side)
        on_grid = self.position_encoding(blank)[0].flatten(1).T
        return torch.cat([on_grid, torch.zeros_like(self.latents)])

    def forward(self, grid: Tensor, positions: Tensor) -> Tensor:
        """Compress memories (b, C, h, w), whose cells have position encodings (h * w, C).

        Returns (b, M, C): first the tokens of the coarser grid, then those of no place.
        """
        side, (height, width) = self.grid_side, grid.shape[2:]
        if height % side or width % side:
            raise ValueError(
                f"a memory's grid must be cut into {side} x {side} windows, got {height} x {width}"
            )
        cells = grid.flatten(2).transpose(1, 2)
        free = self.latents.expand(len(grid), -1, -1)
        placed = self.latents_2d.repeat(len(grid), 1)[:, None]
        for layer in self.layers:
            keys, values = layer.attn.keys_and_values(cells)
            free = layer(free, keys + positions, values + positions)
            placed = layer(placed, *(_windows(x, width, side) for x in (keys, values)))
        return self.norm(torch.cat([placed.view(len(grid), -1, free.shape[2]), free], 1))


class _Layer(nn.Module):
    """Attention to the grid, then among the latents that read the same cells."""

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.attn = _GridAttention(dim)
        self.ff = _feed_forward(dim, hidden_dim)
        self.self_attn = _SelfAttention(dim)
        self.self_ff = _feed_forward(dim, hidden_dim)

    def forward(self, latents: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Update latents (n, l, C) with keys and values (n, k, C)."""
        latents = latents + self.attn(latents, keys, values)
        latents = latents + self.ff(latents)
        latents = latents + self.self_attn(latents)
        return latents + self.self_ff(latents)


class _GridAttention(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm_x = nn.LayerNorm(dim)
        self.norm_latents = nn.LayerNorm(dim)
        self.to_q = nn.Linear(dim, dim, bias=False)
        self.to_kv = nn.Linear(dim, 2 * dim, bias=False)
        self.to_out = nn.Linear(dim, dim, bias=False)

    def keys_and_values(self, cells: Tensor) -> tuple[Tensor, Tensor]:
        """Project the cells of a grid (n, k, C); return both, (n, k, C)."""
        keys, values = self.to_kv(self.norm_x(cells)).chunk(2, -1)
        return keys, values

    def forward(self, latents: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        return self.to_out(_attend(self.to_q(self.norm_latents(latents)), keys, values))


class _SelfAttention(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.to_q = nn.Linear(dim, dim, bias=False)
        self.to_kv = nn.Linear(dim, 2 * dim, bias=False)
        self.to_out = nn.Linear(dim, dim, bias=False)

    def forward(self, latents: Tensor) -> Tensor:
        normed = self.norm(latents)
        return self.to_out(_attend(self.to_q(normed), *self.to_kv(normed).chunk(2, -1)))


def _feed_forward(dim: int, hidden_dim: int) -> nn.Sequential:
    return nn.Sequential(
        nn.LayerNorm(dim),
        nn.Linear(dim, hidden_dim, bias=False),
        nn.GELU(),
        nn.Linear(hidden_dim, dim, bias=False),
    )


def _attend(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Attend with one head: (n, l, C), (n, k, C) and (n, k, C) to (n, l, C)."""
    q, k, v = queries[:, None], keys[:, None], values[:, None]
    return functional.scaled_dot_product_attention(q, k, v)[:, 0]


def _windows(cells: Tensor, width: int, side: int) -> Tensor:
    """Cut the cells (b, h * w, C) of grids into side x side windows, (b * side * side, k, C)."""
    size = width // side
    tiles = cells.unflatten(1, (side, -1, side, size)).transpose(2, 3)
    return tiles.reshape(len(cells) * side * side, -1, cells.shape[2])
