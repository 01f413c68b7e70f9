"""Peers: other implementations of SAM 2's video predictor on the same frames, as extras.

A peer is used as its documentation says, without its reading of files. None gives the official
masks, and `NOTES` says why, so their speeds are context and not a target.
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from tests.bench.clips import Clip
from tests.bench.systems import Mask, Model, See, System, loaded

NOTES = {
    "ultralytics": (
        "the same weights; letterboxed, not stretched, so other pixels; memories in float16; "
        "about 8 object pointers, not 16; a video's masks do not overlap; one batch for the "
        "objects of a video, videos one by one; the masks differ"
    ),
    "transformers": (
        "random weights of the same architecture, since the package has no converter, so the IoU "
        "means nothing; the same pixels; objects one by one but for the memory encoder, videos one "
        "by one"
    ),
}


class Ultralytics:
    """ultralytics' SAM2VideoPredictor: the objects of one video in a batch."""

    name = "ultralytics"

    def __init__(self, model: Model) -> None:
        _settle_ultralytics()
        from ultralytics.models.sam import SAM2VideoPredictor

        size = model.size_px
        options = {"imgsz": size, "device": "cpu", "save": False, "verbose": False}
        predictor: Any = SAM2VideoPredictor(overrides={"model": str(model.weights), **options})
        predictor.setup_model(verbose=False)
        # What `setup_source` does, whose readers take files, or else do not track.
        predictor.imgsz = [size, size]
        predictor.model.set_imgsz([size, size])
        predictor._bb_feat_sizes = [[size // stride] * 2 for stride in (4, 8, 16)]
        self._predictor = predictor

    def track(self, clips: Sequence[Clip], see: See) -> None:
        """See `System`."""
        for number, clip in enumerate(clips):
            for frame, masks in enumerate(self._masks(clip)):
                see(number, frame, masks)

    @torch.inference_mode()
    def _masks(self, clip: Clip) -> Iterator[list[Mask]]:
        """The body of `stream_inference`: preprocess, inference, postprocess."""
        predictor = self._predictor
        boxes = np.array([p.box_xyxy for p in clip.prompts], np.float32)
        source = SimpleNamespace(mode="video", frames=len(clip.frames), frame=0)
        predictor.dataset = source
        predictor.init_state(predictor)
        for source.frame, frame in enumerate(clip.frames):
            bgr = [np.ascontiguousarray(frame.rgb[..., ::-1])]
            predictor.batch = (["in memory"], bgr, [""])
            image = predictor.preprocess(bgr)
            [result] = predictor.postprocess(predictor.inference(image, bboxes=boxes), image, bgr)
            yield _of_every_object(result, len(boxes), clip.size_px)


class Transformers:
    """Video model of transformers, of SAM 2 or a descendant of it, with random weights."""

    name = "transformers"

    def __init__(self, model: Any, size_px: int) -> None:
        """Take a model for images of `size_px`."""
        self._model = model.eval()
        self._size_px = size_px

    @torch.inference_mode()
    def track(self, clips: Sequence[Clip], see: See) -> None:
        """See `System`."""
        for number, clip in enumerate(clips):
            session = self._session(clip)
            steps = self._model.propagate_in_video_iterator(session, start_frame_idx=0)
            for step in steps:
                logits = functional.interpolate(
                    step.pred_masks, size=clip.size_px, mode="bilinear", align_corners=False
                )
                see(number, step.frame_idx, list((logits[:, 0] > 0).numpy()))

    def _session(self, clip: Clip) -> Any:
        """Return the inputs that `Sam2VideoProcessor` makes of a video and its boxes."""
        height, width = clip.size_px
        # That of SAM 2, of which all others are copies.
        theirs = import_module("transformers.models.sam2_video.modeling_sam2_video")
        session = theirs.Sam2VideoInferenceSession(
            video=loaded(clip, self._size_px),
            video_height=height,
            video_width=width,
            dtype=torch.float32,
        )
        scale = torch.tensor([self._size_px / width, self._size_px / height])
        for prompt in clip.prompts:
            corners = torch.tensor(prompt.box_xyxy).view(1, 1, 2, 2) * scale
            points = {
                "point_coords": corners,
                "point_labels": torch.tensor([[[2, 3]]], dtype=torch.int32),
            }
            session.add_point_inputs(session.obj_id_to_idx(prompt.object_id), 0, points)
        session.obj_with_new_inputs = [prompt.object_id for prompt in clip.prompts]
        return session


def sam2_of_transformers(model: Model) -> Transformers:
    """Make transformers' Sam2VideoModel, of SAM 2.1 tiny's architecture."""
    size = model.size_px
    torch.manual_seed(0)
    config = import_module("transformers").Sam2VideoConfig(
        image_size=size,
        vision_config={
            "model_type": "sam2_vision_model",
            "backbone_config": {
                "model_type": "sam2_hiera_det_model",
                "image_size": [size, size],
            },
            "backbone_feature_sizes": [[size // stride] * 2 for stride in (4, 8, 16)],
        },
        prompt_encoder_config={"image_size": size},
        memory_attention_rope_feat_sizes=[size // 16] * 2,
    )
    return Transformers(import_module("transformers").Sam2VideoModel(config), size)


PEERS: dict[str, Callable[[Model], System]] = {
    "ultralytics": Ultralytics,
    "transformers": sam2_of_transformers,
}


@cache
def _settle_ultralytics() -> "tempfile.TemporaryDirectory[str]":
    """Before its first import: no settings at home, no downloads, no installs."""
    folder = tempfile.TemporaryDirectory(prefix="ultralytics-")
    os.environ |= {
        "YOLO_CONFIG_DIR": folder.name,
        "YOLO_AUTOINSTALL": "false",
        "YOLO_OFFLINE": "true",
        "YOLO_VERBOSE": "false",
    }
    return folder


def _of_every_object(result: Any, num_objects: int, size_px: tuple[int, int]) -> list[Mask]:
    """Every object's mask: ultralytics leaves out those that are empty."""
    masks: list[Mask] = [np.zeros(size_px, bool) for _ in range(num_objects)]
    if result.masks is not None:
        for index, mask in zip(result.boxes.cls.tolist(), result.masks.data, strict=True):
            masks[int(index)] = mask.numpy().astype(bool)
    return masks
