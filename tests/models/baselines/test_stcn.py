"""STCN against probabilities that were recorded from the official code."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pvtt_flow.errors import ConfigError
from pvtt_flow.models.baselines.stcn import StcnPropagation, build_stcn
from pvtt_flow.models.baselines.stcn_memory import StcnSettings
from pvtt_flow.models.baselines.stcn_network import StcnNetwork
from tests.models.baselines.first_object import assert_frames_before_it_leave_no_memory
from tests.models.baselines.seeded import clip, seed_weights
from tests.models.baselines.summaries import assert_recorded

CPU = torch.device("cpu")
# Of the names and shapes that hkchengrex/STCN at eb83102 saves.
LAYOUT = "f8d9e393bfc7efa7fc96d08c347f7cc249c72ff767da956f467fd26b8c073663"
RECORDED = Path(__file__).parent / "stcn_expected.json"

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def network() -> StcnNetwork:
    network = StcnNetwork().eval()
    seed_weights(network)
    return network


def test_probabilities_are_those_of_the_official_code(network: StcnNetwork) -> None:
    """The second object enters on frame 4, the first one is corrected on frame 8."""
    frames, masks = clip(12)
    given = {0: {7: masks[0][7]}, 4: {3: masks[4][3]}, 8: {7: masks[8][7]}}
    assert_recorded(RECORDED, StcnPropagation(network, StcnSettings(3, 8)), frames, given)


def test_frames_before_the_first_object_leave_no_memory(network: StcnNetwork) -> None:
    assert_frames_before_it_leave_no_memory(lambda: StcnPropagation(network, StcnSettings()))


def test_last_frame_is_read_on_request(network: StcnNetwork) -> None:
    frames, masks = clip(3)
    plain, with_last = (
        StcnPropagation(network, StcnSettings(include_last=last)) for last in (False, True)
    )
    for position, frame in enumerate(frames):
        given = {} if position else masks[0]
        a, b = plain.step(frame, given)[7], with_last.step(frame, given)[7]
        # The frame after the given one reads it alone.
        assert np.array_equal(a, b) == (position < 2)


def test_defaults_are_the_published_ones() -> None:
    assert StcnSettings() == StcnSettings(5, 20, include_last=False, max_frames=50)


def test_layout_is_the_published_one(network: StcnNetwork) -> None:
    layout = sorted((name, list(value.shape)) for name, value in network.state_dict().items())
    assert hashlib.sha256(json.dumps(layout).encode()).hexdigest() == LAYOUT


def test_published_weights_are_loaded(tmp_path: Path, network: StcnNetwork) -> None:
    frames, masks = clip(1)
    torch.save(network.state_dict(), tmp_path / "stcn.pth")
    found = build_stcn(tmp_path / "stcn.pth", CPU)().step(frames[0], masks[0])
    assert found[7].shape == (64, 96)
    assert np.array_equal(found[7] > 0.5, masks[0][7])


def test_other_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save({"key_comp.bias": torch.zeros(512)}, path)
    with pytest.raises(ConfigError) as raised:
        build_stcn(path, CPU)
    assert str(raised.value).startswith(
        "$.tracker.baseline.weights must be a state dict of STCN as its authors published it, "
        f'got {path}: Missing key(s) in state_dict: "key_encoder.conv1.weight"'
    )


def test_a_file_that_is_no_state_dict_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.pth"
    path.write_text("no weights")
    with pytest.raises(ConfigError, match=r"^\$\.tracker\.baseline\.weights must be .* \(\w+\)$"):
        build_stcn(path, CPU)
