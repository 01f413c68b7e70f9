import hashlib
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from pvtt_flow.core.salient import SalientParams
from pvtt_flow.errors import PreflightError
from pvtt_flow.models.salient import SalientModel, build_salient, try_salient
from pvtt_flow.storage.streams import open_binary
from tests.models.salient_files import write_model

HEIGHT_PX, WIDTH_PX = 48, 96


def picture() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Dark picture with a bright left half."""
    rgb = np.full((HEIGHT_PX, WIDTH_PX, 3), 20, np.uint8)
    rgb[:, : WIDTH_PX // 2] = 200
    return rgb


def params_of(path: Path) -> SalientParams:
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return SalientParams(weights=str(path), sha256=sha256)


@pytest.mark.parametrize("side_px", [64, None])
@pytest.mark.parametrize("normalize", ["imagenet", "half"])
def test_the_map_has_the_size_of_the_picture(
    tmp_path: Path, side_px: int | None, normalize: str
) -> None:
    path = write_model(tmp_path / "bright.onnx", side_px)
    params = SalientParams.model_validate({"normalize": normalize})
    found = SalientModel(path, params, "cpu").find(picture())
    assert found.shape == (HEIGHT_PX, WIDTH_PX)
    # The edge may move by a pixel where the picture is stretched.
    assert found[:, : WIDTH_PX // 2 - 1].all()
    assert not found[:, WIDTH_PX // 2 + 1 :].any()


def test_nothing_is_salient_in_an_even_picture(tmp_path: Path) -> None:
    model = SalientModel(write_model(tmp_path / "bright.onnx"), SalientParams(), "cpu")
    for level in (0, 255):
        assert not model.find(np.full((8, 8, 3), level, np.uint8)).any()


def test_none_is_built_without_weights() -> None:
    assert build_salient(SalientParams(), None, open_binary) is None
    try_salient(SalientParams(), None, open_binary)


def test_weights_are_those_of_the_hash(tmp_path: Path) -> None:
    path = write_model(tmp_path / "bright.onnx")
    params = params_of(path)
    assert build_salient(params, None, open_binary, "cpu") is not None
    write_model(path, 32)
    with pytest.raises(PreflightError, match=r"bright\.onnx must have sha256"):
        try_salient(params, None, open_binary)


def test_files_that_are_no_such_model_are_named(tmp_path: Path) -> None:
    text = tmp_path / "text.onnx"
    text.write_text("no model")
    with pytest.raises(PreflightError, match=r"must be an ONNX model, but .*text.onnx cannot be"):
        try_salient(params_of(text), None, open_binary)
    gray = write_model(tmp_path / "gray.onnx", num_channels=1)
    with pytest.raises(PreflightError, match=r"of the shape \(1, 3, S, S\), but .* takes \[1, 1"):
        try_salient(params_of(gray), None, open_binary)
    huge = write_model(tmp_path / "huge.onnx", 4096)
    with pytest.raises(PreflightError, match="at most 2048 px"):
        try_salient(params_of(huge), None, open_binary)


def test_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_model(tmp_path / "bright.onnx")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(PreflightError, match="install the extra `onnx`"):
        try_salient(params_of(path), None, open_binary)
