"""Equality with each official architecture, on small images and with random weights."""

from pathlib import Path

import pytest

from tests.models.sam2.pair import difference_without_copy, perturb
from tests.models.sam2.shots import OFF, ON, Shot, clicks, shot, square_box
from tests.models.sam2.small_predictor import OFFICIAL_CONFIGS, small_predictor

SIZE_PX = 128


def two_objects() -> Shot:
    """Make a shot whose second object starts late, has two prompts and a backward pass."""
    second_prompt = clicks(1, (26, 30, ON), (80, 60, OFF))
    return shot(4, square_box(0, 0), square_box(1, 1), (3, second_prompt))


@pytest.mark.parametrize(
    "name",
    [
        "sam2.1/sam2.1_hiera_t.yaml",
        pytest.param("sam2.1/sam2.1_hiera_s.yaml", marks=pytest.mark.slow),
        pytest.param("sam2.1/sam2.1_hiera_b+.yaml", marks=pytest.mark.slow),
        pytest.param("sam2.1/sam2.1_hiera_l.yaml", marks=pytest.mark.slow),
        "sam2/sam2_hiera_t.yaml",
    ],
)
def test_results_equal_the_official_ones(name: str, tmp_path: Path) -> None:
    predictor = perturb(small_predictor(OFFICIAL_CONFIGS / name, tmp_path, SIZE_PX))
    difference = difference_without_copy(predictor, two_objects(), "both").check()
    assert difference.num_outputs == 8
    assert not difference.num_absent


def test_sam2_without_an_embedding_for_absence(tmp_path: Path) -> None:
    """SAM 2 before 2.1 does not change memories of frames without the object."""
    predictor = small_predictor(OFFICIAL_CONFIGS / "sam2/sam2_hiera_t.yaml", tmp_path, SIZE_PX)
    assert predictor.no_obj_embed_spatial is None
    perturbed = perturb(predictor, presence=0.5)
    difference = difference_without_copy(perturbed, two_objects(), "both").check()
    assert difference.num_absent == 3, "the prompted frames; objects are present on the others"
