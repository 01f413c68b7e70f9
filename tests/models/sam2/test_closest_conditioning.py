"""`max_cond_frames_in_attn`: the closest conditioning frames are read as such."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from sam2.modeling.sam2_utils import select_closest_cond_frames

from pvtt_flow.models.sam2.memory_ages import are_closest
from pvtt_flow.models.sam2.memory_bank import Memory, MemoryBank, MemoryQuery
from pvtt_flow.models.sam2.memory_policy import MemoryPolicy, Sam2Policy, ScoreGatedPolicy
from pvtt_flow.models.sam2.observation import Observation
from pvtt_flow.models.sam2.official import build_predictor
from tests.models.sam2.fake_model import (
    MAX_POINTERS,
    MEMORY_DIM,
    NUM_MEMORIES,
    TOKENS,
    contents,
    fake_model,
)
from tests.models.sam2.pair import Pair, make_pair, perturb
from tests.models.sam2.run_scheduler import Direction
from tests.models.sam2.shots import OFF, ON, clicks, mask_of, shot, square_box


@given(
    st.lists(st.integers(0, 12), min_size=3, max_size=9, unique=True),
    st.integers(0, 12),
    st.integers(2, 8),
)
def test_the_official_function_chooses_the_same(frames: list[int], now: int, most: int) -> None:
    selected, _ = select_closest_cond_frames(now, dict.fromkeys(frames), most)
    closest = are_closest(np.array([frames]), np.array([[now]]), most)[0]
    chosen = {frame for frame, is_closest in zip(frames, closest, strict=True) if is_closest}
    assert chosen == set(selected)


@pytest.fixture(scope="module")
def limited(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Make the embedded architecture with random weights, which reads two conditioning frames."""
    tree = yaml.safe_load(config.read_text())
    tree["model"]["max_cond_frames_in_attn"] = 2
    path = tmp_path_factory.mktemp("limited") / "limited.yaml"
    path.write_text(yaml.safe_dump(tree))
    torch.manual_seed(0)
    return make_pair(perturb(build_predictor(None, path, torch.device("cpu"))))


@pytest.mark.parametrize("direction", ["both", "backward"])
def test_masks_are_those_of_the_official_predictor(limited: Pair, direction: Direction) -> None:
    assert limited.model.max_conditioning == 2
    shots = [
        shot(
            20,
            *(square_box(0, position) for position in (2, 3, 17)),
            (5, mask_of(0, 5)),
            (9, clicks(0, (34, 32, ON), correction=True)),
            (12, clicks(0, (34, 32, ON), (70, 50, OFF), correction=True)),
        ),
        shot(4, square_box(0, 1), square_box(1, 0), square_box(1, 2)),
    ]
    difference = limited.difference(shots, direction).check()
    assert difference.num_outputs == {"both": 20 + 8, "backward": 18 + 5}[direction]


@pytest.mark.parametrize(("policy", "expected"), [(Sam2Policy, [0, 5]), (ScoreGatedPolicy, [])])
def test_other_conditioning_frames_are_read_as_tracked_ones_or_not_at_all(
    policy: type[MemoryPolicy], expected: list[int]
) -> None:
    """A policy that ranks frames counts those that were tracked, and no others."""
    model = fake_model()
    model.max_conditioning = 2
    bank = MemoryBank(model, 4, torch.float32, policy(NUM_MEMORIES - 1, MAX_POINTERS - 1))
    bank.add("object", [memory(frame) for frame in (0, 5, 6, 20)], [memory(8), memory(9)])
    context = bank.read([MemoryQuery("object", 10, 1, 99)])
    on_grid, others, pointers = contents(context, 0)
    read = {frame: 10 - frame - 1 for frame in expected if frame >= 4}
    assert dict(on_grid) == dict(others) == {6: 6, 20: 6, 8: 1, 9: 0, **read}
    assert {frame for frame, _ in pointers} == {6, 8, 9, *expected}


def memory(frame: int) -> Memory:
    """Make a memory of a good frame."""
    features = torch.full((TOKENS, MEMORY_DIM), float(frame))
    return Memory(frame, features, features[0], Observation(object_score=9.0, predicted_iou=1.0))
