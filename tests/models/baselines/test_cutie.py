"""Cutie as a propagator, against its own `InferenceCore` used by hand."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cutie.inference.inference_core import InferenceCore
from numpy.typing import NDArray
from torch import Tensor

from pvtt_flow.errors import ConfigError
from pvtt_flow.models import checkpoints
from pvtt_flow.models.baselines import cutie as module
from pvtt_flow.models.baselines.cutie import CutiePropagation, build_cutie
from pvtt_flow.models.baselines.propagation import Propagator
from tests.models.baselines import seeded
from tests.models.baselines.first_object import assert_frames_before_it_leave_no_memory
from tests.models.baselines.seeded import seed_weights

CPU = torch.device("cpu")
FIRST, SECOND = 7, 3
NUM_FRAMES = 8


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seeded weights in the published form."""
    from cutie.model.cutie import CUTIE

    with module._without_downloads():
        network = CUTIE(module._settings())
    seed_weights(network)
    path = tmp_path_factory.mktemp("weights") / "cutie.pth"
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def cutie(weights: Path) -> Propagator:
    return build_cutie(weights, CPU)


def clip(num_frames: int) -> tuple[list[NDArray[np.uint8]], list[dict[int, NDArray[np.bool_]]]]:
    """Enlarge the clip to 128 x 192 px: the class wants memories of at least 30 places."""
    images, masks = seeded.clip(num_frames)
    twice = np.ones((2, 2), np.uint8)
    return (
        [np.kron(image, twice[:, :, None]) for image in images],
        [{i: np.kron(m, twice.astype(np.bool_)) for i, m in each.items()} for each in masks],
    )


def by_hand(cutie: Propagator, given: dict[int, list[int]]) -> list[Tensor]:
    """Return the probabilities of its own class, with masks of objects on some frames."""
    one_pass = cutie()
    assert isinstance(one_pass, CutiePropagation)
    core = InferenceCore(one_pass._network, one_pass._settings)
    images, truth = clip(NUM_FRAMES)
    found = []
    for t, image in enumerate(images):
        args: list[Any] = []
        if t in given:
            labels = torch.zeros(image.shape[:2], dtype=torch.int64)
            for i in given[t]:
                labels[torch.from_numpy(truth[t][i])] = i + 1
            args = [labels, [i + 1 for i in given[t]]]
        with torch.inference_mode():
            found.append(core.step(torch.from_numpy(image).permute(2, 0, 1) / 255, *args))
    return found


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(
    "given",
    [
        {0: [FIRST, SECOND]},
        {0: [FIRST], 3: [SECOND]},
        {0: [FIRST], 3: [FIRST, SECOND]},
        {0: [FIRST, SECOND], 4: [FIRST, SECOND]},
    ],
    ids=["two objects", "late object", "late object and correction", "corrections"],
)
def test_probabilities_are_those_of_its_own_class(
    cutie: Propagator, given: dict[int, list[int]]
) -> None:
    images, truth = clip(NUM_FRAMES)
    one_pass = cutie()
    order = [FIRST, SECOND]
    for t, expected in enumerate(by_hand(cutie, given)):
        found = one_pass.step(images[t], {i: truth[t][i] for i in given.get(t, [])})
        assert list(found) == order[: len(expected) - 1]
        for probability, channel in zip(found.values(), expected[1:], strict=True):
            assert probability.dtype == np.float32
            assert np.array_equal(probability, channel.numpy())


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(("known", "other"), [(SECOND, FIRST), (FIRST, SECOND)])
def test_a_correction_takes_its_pixels_and_leaves_the_rest(
    weights: Path, known: int, other: int
) -> None:
    cutie = build_cutie(weights, CPU)
    plain, corrected = cutie(), cutie()
    assert isinstance(plain, CutiePropagation)
    # Without it, seeded weights find hardly anything but background.
    torch.nn.init.constant_(plain._network.mask_decoder.pred.bias, 5)
    images, truth = clip(3)
    for one_pass in (plain, corrected):
        one_pass.step(images[0], truth[0])
        one_pass.step(images[1], {})
    predicted = plain.step(images[2], {})
    background = 1 - sum(predicted.values())
    before = (predicted[other] > predicted[known]) & (predicted[other] > background)
    # It overlaps what is predicted for the other, whatever that is.
    mask = truth[2][known] | before & (np.arange(before.shape[1]) % 2 == 0)
    fixed = corrected.step(images[2], {known: mask})
    assert (before & mask).any()
    assert np.array_equal(fixed[known] > 0.5, mask)
    assert np.array_equal(fixed[other] > 0.5, before & ~mask)


@pytest.mark.usefixtures("one_thread")
def test_masks_that_are_given_again_in_another_order(cutie: Propagator) -> None:
    images, truth = clip(2)
    one_pass = cutie()
    one_pass.step(images[0], {FIRST: truth[0][FIRST], SECOND: truth[0][SECOND]})
    found = one_pass.step(images[1], {SECOND: truth[1][SECOND], FIRST: truth[1][FIRST]})
    for object_id, probability in found.items():
        assert np.array_equal(probability > 0.5, truth[1][object_id])


@pytest.mark.usefixtures("one_thread")
def test_frames_with_fewer_places_than_it_reads(cutie: Propagator) -> None:
    image, square = np.zeros((40, 40, 3), np.uint8), np.zeros((40, 40), np.bool_)
    square[10:30, 10:30] = True
    one_pass = cutie()
    one_pass.step(image, {0: square})
    assert one_pass.step(image, {})[0].shape == (40, 40)


@pytest.mark.usefixtures("one_thread")
def test_frames_before_the_first_object_leave_no_memory(cutie: Propagator) -> None:
    assert_frames_before_it_leave_no_memory(cutie)


def test_weights_of_another_network() -> None:
    path = checkpoints.embedded_file("sam2_embedded.pt")
    with pytest.raises(ConfigError) as caught:
        build_cutie(path, CPU)
    expected = (
        "$.tracker.baseline.weights must be a state dict of Cutie as its authors published it"
    )
    assert str(caught.value).startswith(expected)


def test_a_missing_package(monkeypatch: pytest.MonkeyPatch, weights: Path) -> None:
    monkeypatch.setitem(sys.modules, "cutie.model.cutie", None)
    with pytest.raises(ConfigError, match=r"pip install 'pvtt_flow\[cutie\]'"):
        build_cutie(weights, CPU)
