"""ObjectOutput: the predictor of the `sam2` package, used as in its examples.

Each object is tracked alone, in its own inference state. Objects of one state share no memory, and
the predictor does not track objects that are added late to a state.
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
class ObjectOutput:
    """Output for one object on one frame."""

    logits: Tensor
    """float32 (4h, 4w)."""
    mask: Tensor
    """bool (H, W)."""
    score: float
    iou: float
    """NaN where a mask prompt is the output."""


class OfficialTracker:
    """Official predictor that tracks a `Shot`."""

    def __init__(self, predictor: Any) -> None:
        self.predictor = predictor
        predictor.add_all_frames_to_correct_as_cond = True
        self._ious: dict[int, float] = {}
        self._plain_step = predictor._track_step
        predictor._track_step = self._recording_step

    def track(self, shot: Shot, direction: str) -> dict[tuple[int, int], ObjectOutput]:
        """Track each object; return outputs by (object id, position)."""
        features: dict[int, Any] = {}
        object_ids = sorted({p.object_id for prompts in shot.prompts.values() for p in prompts})
        outputs: dict[tuple[int, int], ObjectOutput] = {}
        for object_id in object_ids:
            session = self._session(shot, features)
            object_prompts = {
                position: selected
                for position, prompts in sorted(shot.prompts.items())
                if (selected := [p for p in prompts if p.object_id == object_id])
            }
            self._ious.clear()
            self._track_object(session, object_prompts, direction)
            outputs |= {
                (object_id, position): self._object_output(session, position, frame_output)
                for frame_outputs in session["output_dict_per_obj"][0].values()
                for position, frame_output in frame_outputs.items()
            }
        return outputs

    def _track_object(
        self, session: Any, prompts: Mapping[int, Sequence[Prompt]], direction: str
    ) -> None:
        initial = {k: p for k, p in prompts.items() if not _are_corrections(p)}
        corrections = {k: p for k, p in prompts.items() if _are_corrections(p)}
        for position, frame_prompts in initial.items():
            self._prompt(session, position, frame_prompts)
        first, last = min(initial), max(initial)
        if direction == "backward":
            self._run_pass(session, last, {k: v for k, v in corrections.items() if k < last}, -1)
            return
        self._run_pass(session, first, {k: v for k, v in corrections.items() if k > first}, 1)
        if direction == "both":
            self._run_pass(session, first, {k: v for k, v in corrections.items() if k < first}, -1)

    def _run_pass(
        self, session: Any, start: int, corrections: Mapping[int, Sequence[Prompt]], sign: int
    ) -> None:
        """Propagate to the last or the first frame, with a stop at each correction."""
        for position in sorted(corrections, key=lambda k: k * sign):
            self._propagate(session, start, abs(position - start), sign)
            self._prompt(session, position, corrections[position])
            start = position
        self._propagate(session, start, None, sign)

    def _propagate(self, session: Any, start: int, max_frames: int | None, sign: int) -> None:
        frames = self.predictor.propagate_in_video(session, start, max_frames, reverse=sign < 0)
        for _ in frames:
            pass

    def _prompt(self, session: Any, position: int, prompts: Sequence[Prompt]) -> None:
        for mask in (p.mask_rle for p in prompts if p.mask_rle is not None):
            size = session["video_height"], session["video_width"]
            self.predictor.add_new_mask(session, position, 0, rle.decode(mask, *size))
            return
        points = [xy for p in prompts for xy in p.points_xy]
        labels = [label for p in prompts for label in p.point_labels]
        boxes = [p.box_xyxy for p in prompts if p.box_xyxy is not None]
        self.predictor.add_new_points_or_box(
            session,
            position,
            0,
            points=np.array(points, np.float32) if points else None,
            labels=np.array(labels, np.int32) if points else None,
            box=np.array(boxes[0], np.float32) if boxes else None,
        )

    def _session(self, shot: Shot, features: dict[int, Any]) -> Any:
        """Make an inference state of these frames; `features` are kept for the next one."""
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

    def _object_output(self, session: Any, position: int, frame_output: Any) -> ObjectOutput:
        logits = frame_output["pred_masks"]
        _, resized = self.predictor._get_orig_video_res_output(session, logits)
        return ObjectOutput(
            logits=logits[0, 0].float(),
            mask=resized[0, 0] > 0,
            score=frame_output["object_score_logits"].item(),
            iou=self._ious[position],
        )

    def _recording_step(self, frame_idx: int, *args: Any, **kwargs: Any) -> Any:
        """Run `_track_step` and record the predicted IoU, which the predictor discards."""
        result = self._plain_step(frame_idx, *args, **kwargs)
        is_mask_prompt, (_, _, ious, *_) = result[0]["mask_inputs"] is not None, result[1]
        self._ious[frame_idx] = float("nan") if is_mask_prompt else ious.max().item()
        return result


def official_images(frames: Iterable[Frame], size_px: int) -> Tensor:
    """Load and normalize frames with the official loader; float32 (F, 3, S, S)."""
    mean = torch.tensor((0.485, 0.456, 0.406))[:, None, None]
    std = torch.tensor((0.229, 0.224, 0.225))[:, None, None]
    images = torch.stack([official_image(frame.rgb, size_px) for frame in frames]).float()
    return (images - mean) / std


def official_image(rgb: Any, size_px: int) -> Tensor:
    """Load an image with the official loader, by way of a lossless file in memory."""
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, "PNG")
    image: Tensor = _load_img_as_tensor(stream, size_px)[0]
    return image


def _are_corrections(prompts: Sequence[Prompt]) -> bool:
    return all(p.correction for p in prompts)
