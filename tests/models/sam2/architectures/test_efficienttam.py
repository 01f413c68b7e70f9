"""EfficientTAM: the engine gives the masks of a plain run of its modules."""

from pathlib import Path

import pytest

from pvtt_flow.models.factory import tracker_config
from pvtt_flow.models.sam2.architectures.efficienttam import EFFICIENTTAM
from pvtt_flow.models.sam2.architectures.pooled_attention import PooledAttention
from pvtt_flow.models.sam2.architectures.shipped_configs import shipped_configs
from pvtt_flow.models.sam2.official import find_architecture
from pvtt_flow.models.tracker import TrackerParams
from tests.models.sam2.architectures import pooled_forward
from tests.models.sam2.pair import make_pair, perturb
from tests.models.sam2.shots import OFF, ON, Shot, clicks, mask_of, shot, square_box
from tests.models.sam2.small_predictor import small_predictor

SIZE_PX = 128


def ragged_shots() -> list[Shot]:
    """Make shots whose objects read from one memory, from several, and from two prompted ones."""
    return [
        shot(4, square_box(0, 0), (0, mask_of(1, 0))),
        shot(6, square_box(0, 0), (2, clicks(1, (26, 30, ON), (80, 60, OFF)))),
        shot(3, square_box(0, 0), (2, clicks(0, (30, 30, ON), correction=True))),
        shot(5, square_box(0, 0), square_box(0, 3)),
    ]


@pytest.mark.parametrize("name", ["efficienttam_ti", "efficienttam_ti_1", "efficienttam_ti_2"])
def test_ragged_shots_have_the_masks_of_each_alone(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PooledAttention, "forward", pooled_forward.forward)
    predictor = perturb(small_predictor(shipped_configs()[name], tmp_path, SIZE_PX))
    pair = make_pair(predictor, EFFICIENTTAM)
    assert pair.model.pools_memories == (name != "efficienttam_ti")
    difference = pair.difference(ragged_shots(), "both").check()
    assert difference.num_outputs == 8 + 12 + 3 + 5


def test_each_config_is_found_by_its_name_and_architecture() -> None:
    for name, path in shipped_configs().items():
        assert tracker_config(TrackerParams(weights="mine.safetensors", config=name)) == path
        assert find_architecture(path).name in name
