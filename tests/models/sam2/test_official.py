"""Official predictor from config and weights files, which may be malicious."""

from pathlib import Path

import pytest
import torch

from pvtt_flow.errors import ConfigError
from pvtt_flow.models.checkpoints import embedded_file
from pvtt_flow.models.factory import tracker_config
from pvtt_flow.models.sam2.official import build_predictor
from pvtt_flow.models.sam2.try_tracker import try_tracker
from pvtt_flow.models.tracker import TrackerParams

CPU = torch.device("cpu")


def test_a_predictor_has_the_weights_and_is_in_eval_mode(
    random_weights: Path, config: Path
) -> None:
    predictor = build_predictor(random_weights, config, CPU)
    saved = torch.load(random_weights, weights_only=True)["model"]
    assert all(torch.equal(value, saved[name]) for name, value in predictor.state_dict().items())
    assert not predictor.training
    assert predictor.fill_hole_area == 0, "otherwise masks would differ between hosts"
    assert predictor.binarize_mask_from_pts_for_mem_enc


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        # What modules of sam2 import is no part of it.
        "sam2.build_sam.logging.FileHandler",
        "sam2.build_sam.os.system",
        "sam2.build_sam.torch.load",
        "sam2.build_sam.build_sam2",
        "sam2.build_sam",
        "sam2.missing.Class",
        "sam2.modeling.sam2_base.Missing",
        "sam2.modeling.sam2_base.",
        "sam2",
        "",
    ],
)
def test_a_config_may_only_name_networks_of_sam2(
    tmp_path: Path, random_weights: Path, target: str
) -> None:
    evil, opened = tmp_path / "evil.yaml", tmp_path / "opened"
    inner = f"{{_target_: '{target}', filename: {opened}, command: 'touch {opened}'}}"
    evil.write_text(f"model:\n  _target_: sam2.modeling.sam2_base.SAM2Base\n  a: [{inner}]\n")
    with pytest.raises(ConfigError) as caught:
        build_predictor(random_weights, evil, CPU)
    assert str(caught.value) == (
        f"_target_ must be a class of sam2 that is a torch.nn.Module, got {target} ({evil})"
    )
    assert not opened.exists()


def test_weights_of_another_format_are_refused(tmp_path: Path, config: Path) -> None:
    path = tmp_path / "other.pt"
    torch.save({"weights": 1}, path)
    with pytest.raises(ConfigError, match="a state dict or one under `model`"):
        build_predictor(path, config, CPU)


def test_weights_of_another_architecture_are_refused(tmp_path: Path, config: Path) -> None:
    path = tmp_path / "other.pt"
    torch.save({"model": {"x": torch.zeros(1)}}, path)
    with pytest.raises(ConfigError, match=r"\$\.tracker\.config must be the architecture of "):
        build_predictor(path, config, CPU)


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"PK\x03\x04", "detector.pt", [1], {"model": 1}]
)
def test_a_file_that_is_no_sam2_checkpoint(tmp_path: Path, config: Path, content: object) -> None:
    path = tmp_path / "other.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, str):
        path = embedded_file(content)
    else:
        torch.save(content, path)
    with pytest.raises(ConfigError) as caught:
        try_tracker(path, config)
    rule = "$.tracker.weights must be a SAM 2 checkpoint, a state dict or one under `model`"
    assert str(caught.value).startswith(f"{rule}, got {path}")


@pytest.mark.parametrize("text", ["", "model: 1", "model: {}", "[1]", "a: : b", "\0"])
def test_a_config_that_is_no_architecture(tmp_path: Path, random_weights: Path, text: str) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text(text)
    with pytest.raises(ConfigError) as caught:
        try_tracker(random_weights, config)
    message = str(caught.value)
    assert message.startswith("$.tracker.config must be the architecture of a SAM 2 in YAML, got ")
    assert "\n" not in message
    assert len(message) < 600


def test_weights_of_another_architecture_are_told_in_one_sentence(random_weights: Path) -> None:
    other = tracker_config(TrackerParams(weights="sam2.1_hiera_tiny"))
    with pytest.raises(ConfigError) as caught:
        try_tracker(random_weights, other)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600
