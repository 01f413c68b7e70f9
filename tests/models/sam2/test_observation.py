"""Reading of predictions for a policy."""

from math import isnan

import pytest
import torch

from pvtt_flow.models.sam2.observation import UNSEEN, Reads, observe
from pvtt_flow.models.sam2.tensors import MaskPrediction


def prediction(*, with_alternatives: bool = True) -> MaskPrediction:
    """Predict two objects on a grid of 2 x 2, each with two other candidates."""
    logits = torch.tensor([[[1.0, -1], [-1, 0]], [[-1024, -1024], [-1024, -1024]]])
    others = torch.tensor([[1, 0, 0, 1], [0, 0, 1, 1]]).bool().reshape(1, 2, 2, 2)
    return MaskPrediction(
        logits=logits,
        object_score=torch.tensor([2.0, -3]),
        predicted_iou=torch.tensor([0.5, 0.25]),
        object_pointer=torch.zeros(2, 4),
        confidence=torch.zeros(2, 4),
        alternatives=others.expand(2, -1, -1, -1) if with_alternatives else None,
    )


def test_nothing_is_read() -> None:
    assert list(observe(prediction(), Reads.NOTHING)) == [UNSEEN, UNSEEN]
    assert isnan(UNSEEN.object_score)
    assert isnan(UNSEEN.predicted_iou)


@pytest.mark.parametrize(
    ("reads", "num_masks"), [(Reads.SCORES, 0), (Reads.MASKS, 1), (Reads.ALTERNATIVES, 3)]
)
def test_what_is_read(reads: Reads, num_masks: int) -> None:
    first, second = observe(prediction(), reads)
    assert (first.object_score, first.predicted_iou) == (2, 0.5)
    assert (second.object_score, second.predicted_iou) == (-3, 0.25)
    masks = [[[1, 0], [0, 0]], [[1, 0], [0, 1]], [[0, 0], [1, 1]]]
    assert first.masks.tolist() == masks[:num_masks]
    assert second.masks.tolist() == [[[0, 0], [0, 0]], *masks[1:]][:num_masks]


def test_alternatives_must_be_kept_by_the_model() -> None:
    with pytest.raises(RuntimeError, match="the model must keep alternatives"):
        observe(prediction(with_alternatives=False), Reads.ALTERNATIVES)
