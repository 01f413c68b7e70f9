"""Memory attention over batches, against the official module on each object alone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from pvtt_flow.errors import ConfigError
from pvtt_flow.models.sam2.attention_kernels import BY_OBJECT, TORCH, Kernel, kernel_named
from pvtt_flow.models.sam2.memory_attention import MemoryAttention
from pvtt_flow.models.sam2.memory_encoder import encode_grid_positions
from pvtt_flow.models.sam2.official import build_predictor
from pvtt_flow.models.sam2.tensors import FrameTokens, MemoryContext
from tests.models.sam2.pair import Pair

TOLERANCE = 1e-5
# Without its compiler it is slow, and right.
FLEX = replace(kernel_named("flex"), needs_compiler=False)
POINTER_TOKENS = 4


@pytest.fixture
def predictor(embedded: Pair) -> Any:
    return embedded.official.predictor


@pytest.fixture
def position(predictor: Any) -> Tensor:
    grid_side = predictor.image_size // 16
    encoding = predictor.image_encoder.neck.position_encoding
    return encode_grid_positions(encoding, predictor.hidden_dim, grid_side, predictor)


def random(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def official_tokens(
    predictor: Any,
    features: Tensor,
    position: Tensor,
    memory: Tensor,
    memory_position: Tensor,
    num_pointers: int,
) -> Tensor:
    """Return one object's tokens (T, C) from features (T, C) and memories (L, Cm)."""
    with torch.inference_mode():
        tokens: Tensor = predictor.memory_attention(
            curr=[features[:, None]],
            curr_pos=[position[:, None]],
            memory=memory[:, None],
            memory_pos=memory_position[:, None],
            num_obj_ptr_tokens=num_pointers * POINTER_TOKENS,
        )
    return tokens[:, 0]


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize(("memories", "pointers"), [(1, 1), (3, 2), (7, 16), (2, 0)])
def test_one_object(
    predictor: Any, position: Tensor, memories: int, pointers: int, *, fused: bool
) -> None:
    attention = MemoryAttention(predictor.memory_attention, position, fused=fused)
    rotated = memories * len(position)
    length = rotated + pointers * POINTER_TOKENS
    features = random(*position.shape, seed=1)
    memory, memory_position = (random(length, predictor.mem_dim, seed=seed) for seed in (2, 3))
    with torch.inference_mode():
        frame_tokens = attention.frame_tokens(features[None])
        keys = (memory + memory_position)[None]
        context = MemoryContext(keys, memory[None], rotated, None)
        tokens = attention(frame_tokens, context)[0]
    expected = official_tokens(predictor, features, position, memory, memory_position, pointers)
    assert (tokens - expected).abs().max().item() <= TOLERANCE


@pytest.mark.parametrize(
    ("fused", "kernel"),
    [(False, BY_OBJECT), (True, TORCH), (True, kernel_named("Flash")), (True, FLEX)],
)
def test_objects_with_different_memories(
    predictor: Any, position: Tensor, kernel: Kernel, *, fused: bool
) -> None:
    """Two objects of one frame and one of another; missing memories hold random numbers, not 0."""
    attention = MemoryAttention(predictor.memory_attention, position, fused=fused)
    attention.kernels.use(kernel, kernel)
    num_tokens, max_memories = len(position), 3
    existing = [({0, 1, 2}, {0, 1}), ({0}, {0}), ({0, 2}, {1})]
    frames, rotated = [0, 0, 1], max_memories * num_tokens
    features = random(2, *position.shape, seed=1)
    memory, memory_position = (
        random(3, rotated + 2 * POINTER_TOKENS, predictor.mem_dim, seed=seed) for seed in (2, 3)
    )
    has_token = torch.stack(
        [
            torch.cat(
                [torch.full((num_tokens,), k in memories) for k in range(max_memories)]
                + [torch.full((POINTER_TOKENS,), k in pointers) for k in range(2)]
            )
            for memories, pointers in existing
        ]
    )
    bias = torch.zeros(has_token.shape).masked_fill(~has_token, -torch.inf)[:, None]
    with torch.inference_mode():
        frame_tokens = attention.frame_tokens(features).select(frames)
        context = MemoryContext(memory + memory_position, memory, rotated, bias)
        tokens = attention(frame_tokens, context)
    for i, (_, pointers) in enumerate(existing):
        expected = official_tokens(
            predictor,
            features[frames[i]],
            position,
            memory[i, has_token[i]],
            memory_position[i, has_token[i]],
            len(pointers),
        )
        assert (tokens[i] - expected).abs().max().item() <= TOLERANCE


def test_selecting_all_frames_copies_nothing() -> None:
    frame_tokens = FrameTokens(tokens=torch.zeros(2, 3, 4), queries=torch.zeros(2, 3, 4))
    assert frame_tokens.select([0, 1]) is frame_tokens
    assert frame_tokens.select([1, 1, 0]).tokens.shape == (3, 3, 4)


def test_attention_with_several_heads_is_refused(config: Path, position: Tensor) -> None:
    module = build_predictor(None, config, torch.device("cpu")).memory_attention
    module.layers[0].self_attn.num_heads = 2
    with pytest.raises(ConfigError, match="memory attention has one head"):
        MemoryAttention(module, position)
