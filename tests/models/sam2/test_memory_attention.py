"""Memory attention over batches of unlike pasts, against the official module on each alone."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from pvtt_flow.errors import ConfigError
from pvtt_flow.models.sam2.memory_attention import MemoryAttention
from pvtt_flow.models.sam2.memory_encoder import tokens_of
from pvtt_flow.models.sam2.official import build_predictor
from pvtt_flow.models.sam2.tensors import Past, Start
from tests.models.sam2.pair import Pair

TOLERANCE = 1e-5
POINTER_TOKENS = 4


@pytest.fixture
def predictor(embedded: Pair) -> Any:
    return embedded.official.predictor


@pytest.fixture
def position(predictor: Any) -> Tensor:
    grid = predictor.image_size // 16
    encoding = predictor.image_encoder.neck.position_encoding
    return tokens_of(encoding, predictor.hidden_dim, grid, predictor)


def random(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def official(
    predictor: Any, top: Tensor, position: Tensor, past: Tensor, places: Tensor, pointers: int
) -> Tensor:
    """One object's tokens (T, C), from its frame's (T, C) and its past (L, Cm)."""
    with torch.inference_mode():
        tokens: Tensor = predictor.memory_attention(
            curr=[top[:, None]],
            curr_pos=[position[:, None]],
            memory=past[:, None],
            memory_pos=places[:, None],
            num_obj_ptr_tokens=pointers * POINTER_TOKENS,
        )
    return tokens[:, 0]


@pytest.mark.parametrize(("memories", "pointers"), [(1, 1), (3, 2), (7, 16), (2, 0)])
def test_one_object(predictor: Any, position: Tensor, memories: int, pointers: int) -> None:
    attention = MemoryAttention(predictor.memory_attention, position)
    rotated = memories * len(position)
    length = rotated + pointers * POINTER_TOKENS
    top = random(*position.shape, seed=1)
    past, places = (random(length, predictor.mem_dim, seed=seed) for seed in (2, 3))
    with torch.inference_mode():
        start = attention.start(top[None])
        found = attention(start, Past((past + places)[None], past[None], rotated, None))[0]
    expected = official(predictor, top, position, past, places, pointers)
    assert (found - expected).abs().max().item() <= TOLERANCE


def test_objects_with_unlike_pasts(predictor: Any, position: Tensor) -> None:
    """Two objects of one frame and one of another; what an object lacks is anything but 0."""
    attention = MemoryAttention(predictor.memory_attention, position)
    num_tokens, most = len(position), 3
    owned = [({0, 1, 2}, {0, 1}), ({0}, {0}), ({0, 2}, {1})]
    frames, rotated = [0, 0, 1], most * num_tokens
    tops = random(2, *position.shape, seed=1)
    past, places = (
        random(3, rotated + 2 * POINTER_TOKENS, predictor.mem_dim, seed=seed) for seed in (2, 3)
    )
    has = torch.stack(
        [
            torch.cat(
                [torch.full((num_tokens,), k in memories) for k in range(most)]
                + [torch.full((POINTER_TOKENS,), k in pointers) for k in range(2)]
            )
            for memories, pointers in owned
        ]
    )
    bias = torch.zeros(has.shape).masked_fill(~has, -torch.inf)[:, None]
    with torch.inference_mode():
        start = attention.start(tops).take(frames)
        found = attention(start, Past(past + places, past, rotated, bias))
    for i, (_, pointers) in enumerate(owned):
        expected = official(
            predictor, tops[frames[i]], position, past[i, has[i]], places[i, has[i]], len(pointers)
        )
        assert (found[i] - expected).abs().max().item() <= TOLERANCE


def test_a_start_is_shared_without_a_copy() -> None:
    start = Start(tokens=torch.zeros(2, 3, 4), queries=torch.zeros(2, 3, 4))
    assert start.take([0, 1]) is start
    assert start.take([1, 1, 0]).tokens.shape == (3, 3, 4)


def test_another_kind_of_attention_is_refused(config: Path, position: Tensor) -> None:
    module = build_predictor(None, config, torch.device("cpu")).memory_attention
    module.layers[0].self_attn.num_heads = 2
    with pytest.raises(ConfigError, match="memory attention has one head"):
        MemoryAttention(module, position)
