"""Weights, configs and loaded models from params."""

from pathlib import Path

import numpy as np
import pytest

from pvtt_flow.errors import ConfigError
from pvtt_flow.models import checkpoints
from pvtt_flow.models.checkpoints import sha256_of
from pvtt_flow.models.factory import build_tracker, tracker_config
from pvtt_flow.models.tracker import PromptedShot, TrackerParams
from pvtt_flow.storage.streams import open_binary
from pvtt_flow.types import Frame, Prompt

NAMED_TRACKERS = [name for name, c in checkpoints.known().items() if c.config is not None]


@pytest.mark.parametrize("name", NAMED_TRACKERS)
def test_each_named_tracker_has_its_config(name: str) -> None:
    path = tracker_config(TrackerParams(weights=name))
    assert path.is_file()
    assert path.name == Path(checkpoints.known()[name].config or "").name


def test_a_weights_path_needs_its_architecture(tmp_path: Path) -> None:
    assert tracker_config(TrackerParams(weights="w.pt", config="sam2.1_hiera_large")).name == (
        "sam2.1_hiera_l.yaml"
    )
    config = tmp_path / "mine.yaml"
    config.touch()
    assert tracker_config(TrackerParams(weights="w.pt", config=str(config))) == config


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            TrackerParams(weights="w.pt"),
            r"\$\.tracker\.config must name the architecture of w\.pt, got null; set it to the",
        ),
        (
            TrackerParams(weights="w.pt", config="/nowhere.yaml"),
            r"\$\.tracker\.config must be an existing file or a known name, got /nowhere\.yaml",
        ),
    ],
)
def test_a_config_that_does_not_exist_is_refused(params: TrackerParams, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        tracker_config(params)


def test_a_name_and_a_path_give_equal_trackers() -> None:
    """Embedded weights are loaded like official ones."""
    named = TrackerParams(device="cpu")
    weights = checkpoints.embedded_file("sam2_embedded.pt")
    by_path = TrackerParams(
        weights=str(weights), sha256=sha256_of(weights), config="embedded_tracker", device="cpu"
    )
    rgb = np.random.default_rng(0).integers(0, 60, (90, 160, 3), np.uint8)
    rgb[30:60, 50:100] = (220, 180, 40)
    frames = [Frame(i, i, np.roll(rgb, 3 * i, axis=1)) for i in range(3)]
    prompts = {0: [Prompt(object_id=4, frame_index=0, box_xyxy=(50, 30, 100, 60))]}
    shot = PromptedShot(lambda start, stop: iter(frames[start:stop]), prompts, {0: frames[0]})
    first, second = (
        list(build_tracker(params, None, open_binary).track(shot)) for params in (named, by_path)
    )
    assert [[o.object_id for o in frame.objects] for frame in first] == [[4]] * 3
    for tracked, expected in zip(first, second, strict=True):
        assert tracked.objects[0].mask.shape == (90, 160)
        assert (tracked.objects[0].mask == expected.objects[0].mask).all()
