"""Model of which a memory bank only takes encodings that are readable numbers."""

import math
from types import SimpleNamespace
from typing import Any, TypeAlias

import torch
from torch import Tensor

from pvtt_flow.models.sam2.tensors import MemoryContext

NUM_MEMORIES, MAX_POINTERS = 7, 16
TOKENS, MEMORY_DIM = 3, 2
# Tokens of a memory that lie on its grid; the others come after those of all memories.
ON_GRID = 1
# Distances divided by the longest one (1, 2, 8 or 15) are multiples of 1 / PARTS.
PARTS = 120


def fake_model() -> Any:
    """Make a model whose position encodings are the age or the distance itself."""
    temporal = torch.arange(NUM_MEMORIES).float()[:, None].expand(-1, MEMORY_DIM)
    memory_encoder = SimpleNamespace(
        token_positions=torch.zeros(TOKENS, MEMORY_DIM),
        memory_side=math.isqrt(ON_GRID),
        temporal_positions=temporal,
        encode_pointer_positions=lambda distances: (
            (PARTS * distances).round()[..., None].expand(-1, -1, 2)
        ),
    )
    return SimpleNamespace(
        memory_encoder=memory_encoder,
        num_memories=NUM_MEMORIES,
        max_object_pointers=MAX_POINTERS,
        memory_dim=MEMORY_DIM,
        hidden_dim=MEMORY_DIM,
        device=torch.device("cpu"),
        has_full_context=False,
        pools_memories=False,
        max_conditioning=None,
    )


Contents: TypeAlias = list[tuple[float, float]]


def contents(context: MemoryContext, row: int) -> tuple[Contents, Contents, Contents]:
    """Return the content of each token that an object reads, and its age or distance.

    First of tokens on the grid, then of other tokens of memories, then of pointers.
    """
    keys, values, bias = context.keys[row], context.values[row], context.bias
    exists = torch.ones(len(keys), dtype=torch.bool) if bias is None else bias[row, 0] == 0
    on_grid = context.num_rotated
    memories = on_grid * TOKENS // ON_GRID
    parts = slice(on_grid), slice(on_grid, memories), slice(memories, None)
    on_grid_part, other_part, pointer_part = (
        _contents(keys[part], values[part], exists[part]) for part in parts
    )
    return on_grid_part, other_part, pointer_part


def _contents(keys: Tensor, values: Tensor, exists: Tensor) -> Contents:
    ages = (keys - values)[exists, 0].tolist()
    return list(zip(values[exists, 0].tolist(), ages, strict=True))
