"""Model of which a memory bank only takes encodings that are readable numbers."""

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

NUM_MEMORIES, MAX_POINTERS = 7, 16
TOKENS, MEMORY_DIM = 3, 2
# Distances divided by the longest one (1, 2, 8 or 15) are multiples of 1 / PARTS.
PARTS = 120


def fake_model() -> Any:
    """Make a model whose position encodings are the age or the distance itself."""
    temporal = torch.arange(NUM_MEMORIES).float()[:, None].expand(-1, MEMORY_DIM)
    memory_encoder = SimpleNamespace(
        grid_positions=torch.zeros(TOKENS, MEMORY_DIM),
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


def content_and_age(keys: Tensor, values: Tensor, exists: Tensor) -> list[tuple[float, float]]:
    """Return the content of each token that exists, and its age or distance."""
    ages = (keys - values)[exists, 0].tolist()
    return list(zip(values[exists, 0].tolist(), ages, strict=True))
