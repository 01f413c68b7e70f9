"""Salient-object models in ONNX, as `rembg` has them."""

import importlib.util
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pvtt_flow.core.salient import SalientParams
from pvtt_flow.errors import PreflightError
from pvtt_flow.models.checkpoints import Opener
from pvtt_flow.models.detector import Device, device_name
from pvtt_flow.models.own_weights import own_weights

_KEY = "$.measure.salient.weights"
# Mean and deviation of the colors, of the order RGB and in [0, 1].
_NORMS = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": ((0.5, 0.5, 0.5), (1.0, 1.0, 1.0)),
}
# Side of the input of a model that takes any.
_FREE_SIDE_PX = 320
_MAX_SIDE_PX = 2048
_THRESHOLD = 0.5


class SalientModel:
    """Loaded model."""

    def __init__(self, path: Path, params: SalientParams, device: Device = "auto") -> None:
        """Load a file.

        Raises PreflightError if it cannot be used, and if onnxruntime is not installed.
        """
        self._session = _session(path, device)
        (given,) = self._session.get_inputs()[:1]
        self._name = given.name
        self._side_px = _side_px(path, given.shape)
        self._mean, self._deviation = (np.array(v, np.float32) for v in _NORMS[params.normalize])

    def find(self, rgb: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Return what is salient in a picture, uint8 (H, W, 3), as bool (H, W).

        As in rembg, the first output is stretched to [0, 1] and cut at a half.
        """
        side = (self._side_px, self._side_px)
        small = cv2.resize(rgb, side, interpolation=cv2.INTER_AREA).astype(np.float32)
        pixels = (small / max(float(small.max()), 1e-6) - self._mean) / self._deviation
        (out, *_) = self._session.run(None, {self._name: pixels.transpose(2, 0, 1)[None]})
        found = np.asarray(out, np.float32).reshape(out.shape[-2:])
        low, high = float(found.min()), float(found.max())
        if not high > low:  # the same everywhere, or no number
            return np.zeros(rgb.shape[:2], np.bool_)
        unit = cv2.resize((found - low) / (high - low), rgb.shape[1::-1])
        return np.asarray(unit > _THRESHOLD, np.bool_)


def build_salient(
    params: SalientParams, folder: str | None, open_uri: Opener, device: Device = "auto"
) -> SalientModel | None:
    """Load the model of the params; None without one."""
    if params.weights is None:
        return None
    path = own_weights(params.weights, params.sha256, "measure.salient", folder, open_uri)
    return SalientModel(path, params, device)


def try_salient(params: SalientParams, folder: str | None, open_uri: Opener) -> None:
    """Look at a gray picture once; raise PreflightError if the model cannot be used."""
    model = build_salient(params, folder, open_uri, "cpu")
    if model is None:
        return
    try:
        model.find(np.full((64, 64, 3), 128, np.uint8))
    except Exception as error:
        raise PreflightError(
            f"{_KEY} must be a salient-object model, which maps pictures (1, 3, S, S) to maps "
            f"(1, 1, S, S), but {params.weights} fails: {_first_line(error)}"
        ) from error


def _session(path: Path, device: Device) -> Any:
    if importlib.util.find_spec("onnxruntime") is None:
        raise PreflightError(
            f"{_KEY}: onnxruntime must be installed for {path}; install the extra `onnx` "
            "(pip install 'pvtt_flow[onnx]')"
        )
    import onnxruntime
    import torch

    wanted = ["CUDAExecutionProvider"] if device_name(device) == "cuda" else []
    providers = [p for p in wanted if p in onnxruntime.get_available_providers()]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised
    # Else it takes all cores, of which an actor has some.
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        return onnxruntime.InferenceSession(
            str(path), options, providers=[*providers, "CPUExecutionProvider"]
        )
    except Exception as error:
        raise PreflightError(
            f"{_KEY} must be an ONNX model, but {path} cannot be loaded: {_first_line(error)}"
        ) from error


def _side_px(path: Path, shape: list[object]) -> int:
    """Return the side of the square pictures that a model takes."""
    sides = {side for side in shape[2:] if isinstance(side, int)}
    if len(shape) != 4 or shape[1] not in {3, None, "c"} or len(sides) > 1:
        raise PreflightError(
            f"{_KEY} must take pictures of the shape (1, 3, S, S), but {path} takes {shape}"
        )
    side_px = sides.pop() if sides else _FREE_SIDE_PX
    if not 1 <= side_px <= _MAX_SIDE_PX:
        raise PreflightError(
            f"{_KEY} must take pictures of at most {_MAX_SIDE_PX} px, but {path} takes {shape}"
        )
    return side_px


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
