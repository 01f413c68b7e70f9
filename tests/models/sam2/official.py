"""The reference: the `sam2` package's own predictor, used as its own examples use it.

Each object is followed alone, in its own inference state, which is how the predictor tracks
(objects of one state share no memory) and the only way in which it follows one that starts late.
"""

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import sam2.sam2_video_predictor as official
import torch
from PIL import Image
from sam2.utils.misc import _load_img_as_tensor
from torch import Tensor

from pvtt_flow.core import rle
from pvtt_flow.types import Frame, Prompt
from tests.models.sam2.shots import Shot


@dataclass(frozen=True, eq=False)
class Reference:
    """One object on one frame."""

    logits: Tensor
    """float32 (4h, 4w)."""
    mask: Tensor
    """bool (H, W)."""
    score: float
    iou: float
    """NaN where the mask was given."""


class Official:
    """A predictor, and what it needs to be asked."""

    def __init__(self, predictor: Any) -> None:
        self.predictor = predictor
        predictor.add_all_frames_to_correct_as_cond = True
        self._ious: dict[int, float] = {}
        self._plain_step = predictor._track_step
        predictor._track_step = self._recording_step

    def track(self, shot: Shot, direction: str) -> dict[tuple[int, int], Reference]:
        """What it sees of every object, by (object id, position)."""
        features: dict[int, Any] = {}
        object_ids = sorted({p.object_id for given in shot.prompts.values() for p in given})
        found: dict[tuple[int, int], Reference] = {}
        for object_id in object_ids:
            session = self._session(shot, features)
            own = {
                position: mine
                for position, given in sorted(shot.prompts.items())
                if (mine := [p for p in given if p.object_id == object_id])
            }
            self._ious.clear()
            self._follow(session, own, direction)
            found |= {
                (object_id, position): self._reference(session, position, out)
                for outputs in session["output_dict_per_obj"][0].values()
                for position, out in outputs.items()
            }
        return found

    def _follow(
        self, session: Any, prompts: Mapping[int, Sequence[Prompt]], direction: str
    ) -> None:
        alone = {k: given for k, given in prompts.items() if not _corrects(given)}
        corrections = {k: given for k, given in prompts.items() if _corrects(given)}
        for position, given in alone.items():
            self._ask(session, position, given)
        first, last = min(alone), max(alone)
        if direction == "backward":
            self._sweep(session, last, {k: v for k, v in corrections.items() if k < last}, -1)
            return
        self._sweep(session, first, {k: v for k, v in corrections.items() if k > first}, 1)
        if direction == "both":
            self._sweep(session, first, {k: v for k, v in corrections.items() if k < first}, -1)

    def _sweep(
        self, session: Any, start: int, corrections: Mapping[int, Sequence[Prompt]], step: int
    ) -> None:
        """From a frame to the end, or back to the first frame, with a stop at each correction."""
        for position in sorted(corrections, key=lambda k: k * step):
            self._propagate(session, start, abs(position - start), step)
            self._ask(session, position, corrections[position])
            start = position
        self._propagate(session, start, None, step)

    def _propagate(self, session: Any, start: int, most: int | None, step: int) -> None:
        frames = self.predictor.propagate_in_video(session, start, most, reverse=step < 0)
        for _ in frames:
            pass

    def _ask(self, session: Any, position: int, given: Sequence[Prompt]) -> None:
        for mask in (p.mask_rle for p in given if p.mask_rle is not None):
            size = session["video_height"], session["video_width"]
            self.predictor.add_new_mask(session, position, 0, rle.decode(mask, *size))
            return
        points = [xy for p in given for xy in p.points_xy]
        labels = [label for p in given for label in p.point_labels]
        boxes = [p.box_xyxy for p in given if p.box_xyxy is not None]
        self.predictor.add_new_points_or_box(
            session,
            position,
            0,
            points=np.array(points, np.float32) if points else None,
            labels=np.array(labels, np.int32) if points else None,
            box=np.array(boxes[0], np.float32) if boxes else None,
        )

    def _session(self, shot: Shot, features: dict[int, Any]) -> Any:
        """A new inference state over these frames; `features` are kept for the next one."""
        images = official_images(shot.frames, self.predictor.image_size)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(official, "load_video_frames", lambda **_: (images, *shot.display_px))
            session = self.predictor.init_state("unused")
        if not features:
            features |= {
                position: (image[None], self.predictor.forward_image(image[None]))
                for position, image in enumerate(images)
            }
        session["cached_features"] = features
        return session

    def _reference(self, session: Any, position: int, out: Any) -> Reference:
        logits = out["pred_masks"]
        _, resized = self.predictor._get_orig_video_res_output(session, logits)
        return Reference(
            logits=logits[0, 0].float(),
            mask=resized[0, 0] > 0,
            score=out["object_score_logits"].item(),
            iou=self._ious[position],
        )

    def _recording_step(self, frame_idx: int, *args: Any, **kwargs: Any) -> Any:
        """`_track_step`, whose estimate of the mask the predictor itself forgets."""
        result = self._plain_step(frame_idx, *args, **kwargs)
        given, (_, _, ious, *_) = result[0]["mask_inputs"] is not None, result[1]
        self._ious[frame_idx] = float("nan") if given else ious.max().item()
        return result


def official_images(frames: Iterable[Frame], size_px: int) -> Tensor:
    """Through the official loader's own code, by way of a lossless file in memory."""
    mean = torch.tensor((0.485, 0.456, 0.406))[:, None, None]
    std = torch.tensor((0.229, 0.224, 0.225))[:, None, None]
    images = torch.stack([official_image(frame.rgb, size_px) for frame in frames]).float()
    return (images - mean) / std


def official_image(rgb: Any, size_px: int) -> Tensor:
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, "PNG")
    image: Tensor = _load_img_as_tensor(stream, size_px)[0]
    return image


def _corrects(given: Sequence[Prompt]) -> bool:
    return all(p.correction for p in given)
