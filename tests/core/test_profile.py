"""Rules of a profile's values."""

import numpy as np
import pytest
from pydantic import ValidationError

from pvtt_flow.core.profile import FrameCount, Growth, MaskRule, PictureSize


@pytest.mark.parametrize(
    ("rule", "available", "expected"),
    [
        ({"least": 81, "most": 81, "step": 4}, 80, None),
        ({"least": 81, "most": 81, "step": 4}, 300, 81),
        ({"least": 17, "most": 49, "step": 16}, 48, 33),
        ({"least": 22}, 21, None),
        ({"least": 22}, 300, 300),
        ({"least": 85, "most": 197, "step": 4}, 100, 97),
    ],
)
def test_numbers_of_frames(rule: dict[str, int], available: int, expected: int | None) -> None:
    assert FrameCount.model_validate(rule).longest(available) == expected


def test_a_mask_is_read_as_its_consumer_reads_it() -> None:
    levels = np.array([0, 20, 21, 31, 32, 63, 127, 239, 240, 255], np.uint8)
    rose = MaskRule(cut=240, operator=">=")
    assert rose.is_hole(levels).tolist() == [False] * 8 + [True] * 2
    minimax = MaskRule(cut=20)
    assert minimax.is_hole(levels).tolist() == [False] * 2 + [True] * 8
    void = MaskRule(hole=0, overlap=63, affected=127, keep=255, cut=31)
    assert void.is_hole(levels).tolist() == [True] * 4 + [False] * 6
    inverted = MaskRule(hole=0, keep=255, cut=127)
    assert (rose.polarity, void.polarity, inverted.polarity) == ("white", "levels", "inverted")


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (FrameCount, {"least": 80, "step": 4}, "least must be 4n+1, got 80"),
        (FrameCount, {"least": 9, "most": 5}, "most must be at least least, got 5 and 9"),
        (PictureSize, {"width_px": 8}, "width_px and height_px must be given together"),
        (PictureSize, {"fit": "pad"}, "width_px and height_px must be given for fit: pad"),
        (
            PictureSize,
            {"width_px": 100, "height_px": 96, "multiple": 16},
            "both sides must be multiples of 16, got 100",
        ),
        (MaskRule, {"cut": 255}, "hole and keep must be on two sides of the cut, got 255 and 0"),
        (MaskRule, {"hole": 0}, "hole and keep must be on two sides of the cut, got 0 and 0"),
        (Growth, {"radius_px": 3}, "shape must be given to grow by 3 px"),
    ],
)
def test_values_that_contradict_each_other(
    kind: type[FrameCount], values: dict[str, object], message: str
) -> None:
    with pytest.raises(ValidationError, match=message.replace("+", r"\+")):
        kind.model_validate(values)
