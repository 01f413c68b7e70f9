"""XMem against probabilities that were recorded from the official code."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pvtt_flow.errors import ConfigError
from pvtt_flow.models.baselines.xmem import XMemPropagation, build_xmem
from pvtt_flow.models.baselines.xmem_memory import XMemSettings
from pvtt_flow.models.baselines.xmem_network import XMemNetwork, XMemWidths
from tests.models.baselines.first_object import assert_frames_before_it_leave_no_memory
from tests.models.baselines.seeded import clip, seed_weights
from tests.models.baselines.summaries import Masks, assert_recorded

CPU = torch.device("cpu")
# Of the names and shapes that hkchengrex/XMem at f3b841d saves.
LAYOUT = "d58a64e66a4aff0edd7f33b80f0aca7440933a8bc35f844e49b6053365b7c761"
FOLDER = Path(__file__).parent

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def network() -> XMemNetwork:
    network = XMemNetwork(XMemWidths()).eval()
    seed_weights(network)
    return network


def test_late_object_and_correction_are_those_of_the_official_code(network: XMemNetwork) -> None:
    """The second object enters on frame 2; frames 8 and 13 consolidate the working memory."""
    frames, masks = clip(16)
    given: dict[int, Masks] = {0: {7: masks[0][7]}, 2: {3: masks[2][3]}, 11: {7: masks[11][7]}}
    settings = XMemSettings(2, 10, min_working_frames=2, max_working_frames=5, num_prototypes=16)
    propagation = XMemPropagation(network, settings)
    assert_recorded(FOLDER / "xmem_late_expected.json", propagation, frames, given)


def test_full_long_term_memory_is_that_of_the_official_code(network: XMemNetwork) -> None:
    """The long-term memory of 40 elements forgets some for the 16 of each consolidation."""
    frames, masks = clip(16)
    given: dict[int, Masks] = {0: masks[0], 9: {3: masks[9][3]}}
    propagation = XMemPropagation(network, XMemSettings(2, 10, 2, 3, 40, 16))
    assert_recorded(FOLDER / "xmem_full_expected.json", propagation, frames, given)


def test_full_long_term_memory_of_a_late_object_goes_on(network: XMemNetwork) -> None:
    frames, masks = clip(9)
    propagation = XMemPropagation(network, XMemSettings(1, 10, 2, 3, 40, 16))
    for position, frame in enumerate(frames):
        given = {0: {7: masks[0][7]}, 3: {3: masks[3][3]}}.get(position, {})
        found = propagation.step(frame, given)
    assert list(found) == [7, 3]
    assert all(np.isfinite(probability).all() for probability in found.values())


def test_frames_before_the_first_object_leave_no_memory(network: XMemNetwork) -> None:
    assert_frames_before_it_leave_no_memory(lambda: XMemPropagation(network, XMemSettings()))


def test_defaults_are_the_published_ones() -> None:
    assert XMemSettings() == XMemSettings(5, 30, 5, 10, 10_000, 128)


def test_layout_is_the_published_one(network: XMemNetwork) -> None:
    layout = sorted((name, list(value.shape)) for name, value in network.state_dict().items())
    assert hashlib.sha256(json.dumps(layout).encode()).hexdigest() == LAYOUT


@pytest.mark.parametrize("widths", [XMemWidths(16, 64, 8), XMemWidths(16, 64, 0)])
def test_widths_are_those_of_the_weights(tmp_path: Path, widths: XMemWidths) -> None:
    saved = XMemNetwork(widths)
    seed_weights(saved)
    torch.save(saved.state_dict(), tmp_path / "XMem.pth")
    frames, masks = clip(2)
    propagation = build_xmem(tmp_path / "XMem.pth", CPU)()
    expected = XMemPropagation(saved.eval(), XMemSettings())
    assert XMemWidths.of(saved.state_dict()) == widths
    for position, frame in enumerate(frames):
        given = {} if position else masks[0]
        found, wanted = propagation.step(frame, given), expected.step(frame, given)
        assert found[7].shape == (64, 96)
        assert all(np.array_equal(found[i], wanted[i]) for i in (7, 3))


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["key_comp.bias"], "without key_proj.key_proj.weight"),
        (
            ["key_proj.key_proj.weight", "value_encoder.fuser.block2.conv2.weight"],
            'Missing key(s) in state_dict: "key_encoder.conv1.weight"',
        ),
    ],
)
def test_other_weights_are_refused(tmp_path: Path, names: list[str], reason: str) -> None:
    path = tmp_path / "other.pth"
    torch.save({name: torch.zeros(16, 16, 3, 3) for name in names}, path)
    with pytest.raises(ConfigError) as raised:
        build_xmem(path, CPU)
    assert str(raised.value).startswith(
        "$.tracker.baseline.weights must be a state dict of XMem as its authors published it, "
        f"got {path}: {reason}"
    )
