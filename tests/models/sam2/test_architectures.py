"""Sameness for every official architecture, on small pictures and with random weights."""

from pathlib import Path

import pytest

from tests.models.sam2.architectures import small_predictor
from tests.models.sam2.pair import before_and_after, shaken
from tests.models.sam2.shots import OFF, ON, Shot, clicks, shot, square_box

SIZE_PX = 128


def two_objects() -> Shot:
    """The second starts late, is prompted twice, and is also followed back."""
    again = clicks(1, (26, 30, ON), (80, 60, OFF))
    return shot(4, square_box(0, 0), square_box(1, 1), (3, again))


@pytest.mark.parametrize(
    "name",
    [
        "sam2.1/sam2.1_hiera_t.yaml",
        "sam2.1/sam2.1_hiera_s.yaml",
        "sam2.1/sam2.1_hiera_b+.yaml",
        "sam2.1/sam2.1_hiera_l.yaml",
        "sam2/sam2_hiera_t.yaml",
    ],
)
def test_an_official_architecture(name: str, tmp_path: Path) -> None:
    predictor = shaken(small_predictor(name, tmp_path, SIZE_PX))
    found = before_and_after(predictor, two_objects(), "both").check()
    assert found.sights == 8
    assert not found.absent


def test_a_sam_2_that_has_no_embedding_for_absence(tmp_path: Path) -> None:
    """SAM 2 before 2.1 does not mark the memory of a frame without the object."""
    predictor = small_predictor("sam2/sam2_hiera_t.yaml", tmp_path, SIZE_PX)
    assert predictor.no_obj_embed_spatial is None
    found = before_and_after(shaken(predictor, presence=0.5), two_objects(), "both").check()
    assert found.absent == 3, "the prompted frames; on the others the objects are there"
