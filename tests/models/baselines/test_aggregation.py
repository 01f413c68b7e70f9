"""Soft aggregation, and masks that are given for some objects."""

import numpy as np
import torch

from pvtt_flow.models.baselines.aggregation import aggregated, with_given

# Of an object with 0.8 alone: odds of 4 against those of the background, 1/4.
P = 16 / 17


def test_odds_are_normalized_with_those_of_the_background() -> None:
    p = np.array([0.9, 0.4])
    odds = np.array([0.1 * 0.6, *p])
    odds = odds / (1 - odds)
    found = aggregated(torch.tensor(p).view(2, 1, 1))
    np.testing.assert_allclose(found.flatten().numpy(), (odds / odds.sum())[1:], rtol=1e-6)


def test_given_mask_takes_its_pixels_from_others() -> None:
    # One row of four pixels: both objects are predicted with 0.8; the second one is given anew.
    predicted = torch.full((2, 1, 4), 0.8)
    given = torch.tensor([[[0.0, 0.0, 1.0, 1.0]]])
    first, second = with_given(predicted, given, [1])
    assert torch.allclose(first[0], torch.tensor([P, P, 0, 0]), atol=1e-5)
    assert torch.allclose(second[0], torch.tensor([0.0, 0, 1, 1]), atol=1e-5)


def test_object_that_enters_comes_after_those_that_were_predicted() -> None:
    predicted = torch.full((1, 1, 2), 0.8)
    given = torch.tensor([[[0.0, 1.0]]])
    found = with_given(predicted, given, [1])[:, 0]
    assert torch.allclose(found, torch.tensor([[P, 0], [0, 1]]), atol=1e-5)


def test_given_objects_need_no_prediction() -> None:
    given = torch.eye(2)[:, None]
    found = with_given(torch.zeros(0, 1, 1), given, [1, 0])[:, 0]
    assert torch.allclose(found, torch.eye(2).flip(0), atol=1e-5)


def test_certain_prediction_yields_to_a_given_mask() -> None:
    predicted = torch.tensor([[[1.0, 1.0]]])
    found = with_given(predicted, torch.tensor([[[0.0, 1.0]]]), [1])[:, 0]
    assert torch.allclose(found, torch.eye(2), atol=1e-5)
