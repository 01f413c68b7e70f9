import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from pvtt_flow.core.salient import SalientParams, salient_iou


def columns(start: int, stop: int) -> NDArray[np.bool_]:
    mask = np.zeros((4, 10), np.bool_)
    mask[:, start:stop] = True
    return mask


def test_objects_share_what_is_salient() -> None:
    left, right, both = columns(0, 4), columns(4, 8), columns(0, 8)
    assert salient_iou(left, [], both) == 0.5
    assert salient_iou(left, [right], both) == 1.0
    # What objects have in common is of both.
    assert salient_iou(left, [columns(2, 8)], both) == 1.0


def test_nothing_is_salient() -> None:
    assert salient_iou(columns(0, 4), [], columns(0, 0)) == 0.0
    assert salient_iou(columns(0, 0), [], columns(0, 0)) == 0.0


def test_weights_have_a_hash() -> None:
    with pytest.raises(ValidationError, match=r"sha256 must be set where weights is a\.onnx, got"):
        SalientParams(weights="a.onnx")
    with pytest.raises(ValidationError, match=r"must be null where weights is null, got 0{64}"):
        SalientParams(sha256="0" * 64)
