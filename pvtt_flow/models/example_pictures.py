"""Visual prompts of YOLOE: pictures of a product become a class of the detector."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pvtt_flow.core.products import Example
from pvtt_flow.errors import ConfigError, DataError, PreflightError, StoreError
from pvtt_flow.models.checkpoints import Opener
from pvtt_flow.models.ultralytics_model import takes_prompts

_KEY = "$.detect.examples"
_MAX_BYTES = 64_000_000


def read_file(example: Example, open_uri: Opener) -> bytes:
    """Return the file of an example's picture.

    Raises PreflightError for one that cannot be read or is larger than 64 MB.
    """
    try:
        with open_uri(example.picture) as file:
            content = file.read(_MAX_BYTES + 1)
    except (OSError, DataError, StoreError) as error:
        raise PreflightError(f"{_KEY}: {error}") from error
    if len(content) > _MAX_BYTES:
        raise PreflightError(
            f"{_KEY}: {example.picture} must have at most {_MAX_BYTES} bytes, got more"
        )
    return content


def read_picture(example: Example, open_uri: Opener) -> NDArray[np.uint8]:
    """Return the picture of an example upright, uint8 (H, W, 3) BGR, as ultralytics expects it.

    Raises what `read_file` raises, and PreflightError for a file that is no picture.
    """
    content = np.frombuffer(read_file(example, open_uri), np.uint8)
    # OpenCV turns pictures as EXIF says.
    picture = cv2.imdecode(content, cv2.IMREAD_COLOR) if len(content) else None
    if picture is None:
        raise PreflightError(
            f"{_KEY}: {example.picture} must be a picture that OpenCV reads, as a JPEG or PNG"
        )
    return np.asarray(picture, np.uint8)


def embed(path: Path, yolo: Any, examples: Sequence[Example], open_uri: Opener) -> dict[str, Any]:
    """Return the embedding of each label, float32 tensor (1, 1, D), the mean of its examples.

    Raises ConfigError for a model that takes no visual prompts, and a box outside of its picture,
    PreflightError for a file that is no picture.
    """
    import torch

    if not takes_prompts(yolo):
        raise ConfigError(f"{_KEY} must be empty for {path}, which is no YOLOE that takes prompts")
    found: dict[str, list[Any]] = {}
    for example in examples:
        found.setdefault(example.label, []).append(
            _embedding(yolo, read_picture(example, open_uri), example)
        )
    return {
        label: torch.nn.functional.normalize(torch.cat(each).mean(0, keepdim=True), dim=-1)
        for label, each in found.items()
    }


def _embedding(yolo: Any, picture: NDArray[np.uint8], example: Example) -> Any:
    from ultralytics.models.yolo.yoloe import YOLOEVPDetectPredictor, YOLOEVPSegPredictor

    height_px, width_px = picture.shape[:2]
    box = np.array(example.box_xyxy or (0, 0, width_px, height_px), np.float32)
    if box[2] > width_px or box[3] > height_px:
        raise ConfigError(
            f"{_KEY}: box_xyxy must be inside of {example.picture}, which has "
            f"{width_px}x{height_px} pixels, got {list(example.box_xyxy or ())}"
        )
    predictor_class = YOLOEVPSegPredictor if yolo.task == "segment" else YOLOEVPDetectPredictor
    overrides = {**yolo.overrides, "mode": "predict", "save": False, "verbose": False, "batch": 1}
    predictor: Any = predictor_class(overrides=overrides)
    predictor.set_prompts({"bboxes": box[None], "cls": np.array([0])})
    predictor.setup_model(model=yolo.model, verbose=False)
    return predictor.get_vpe(picture).detach().cpu().clone()
