"""SAM 2's own video predictor behind the `Tracker` protocol, fed by a stream.

The official predictor wants a folder of JPEGs and keeps every frame and every memory. Here its
state is built by hand: frames come from a short look-ahead window, and memories are dropped as
soon as the model can no longer read them, so memory does not grow with the length of a video and
the masks are the official ones. Line references are to `sam2` 1.1.0.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from pvtt_flow.core import rle
from pvtt_flow.data import Frame, Prompt
from pvtt_flow.models.detector import Device, device_name
from pvtt_flow.models.frame_window import FrameWindow
from pvtt_flow.models.sam2_build import build_predictor
from pvtt_flow.models.tracker import TrackedFrame, TrackedObject

_MEAN = torch.tensor((0.485, 0.456, 0.406))[:, None, None]
_STD = torch.tensor((0.229, 0.224, 0.225))[:, None, None]
# Frames f-1 … f-6 are read as memories and f-1 … f-15 as pointers (sam2_base.py:533-620).
_MEMORY_FRAMES = 16
_ENDLESS = 1 << 40


class Sam2Tracker:
    """The official predictor, resident on one device; one shot at a time."""

    def __init__(self, weights: Path, config: Path, device: Device) -> None:
        self._device = torch.device(device_name(device))
        self._predictor = build_predictor(weights, config, self._device)
        self._size_px = int(self._predictor.image_size)
        self._predicted_ious: list[float] = []
        self._predictor.sam_mask_decoder.register_forward_hook(self._keep_predicted_iou)

    def track(
        self,
        frames: Iterable[Frame],
        prompts: Mapping[int, Sequence[Prompt]],
        prompt_frames: Mapping[int, Frame],
    ) -> Iterator[TrackedFrame]:
        """See `Tracker.track`."""
        pinned = {k: self._image_of(f.rgb) for k, f in prompt_frames.items()}
        window = FrameWindow(frames, self._image_of, pinned)
        start = min(prompts)
        for position in range(start):
            if not window.has(position):
                return
            yield TrackedFrame(*window.time(position), objects=())
        with torch.inference_mode(), self._autocast():
            yield from self._propagate(window, start, prompts, prompt_frames)

    def _propagate(
        self,
        window: FrameWindow,
        start: int,
        prompts: Mapping[int, Sequence[Prompt]],
        prompt_frames: Mapping[int, Frame],
    ) -> Iterator[TrackedFrame]:
        state = self._new_state(window, prompt_frames[start].rgb.shape[:2])
        prompted_iou = {
            (k, o): score
            for k in sorted(prompts)
            for o, score in self._add_prompts(state, k, prompts[k]).items()
        }
        self._predictor.propagate_in_video_preflight(state)
        self._promote(state, prompts)
        steps = self._predictor.propagate_in_video(state, start_frame_idx=start)
        position = start
        while window.has(position):
            time = window.time(position)
            self._predicted_ious.clear()
            _, object_ids, logits = next(steps)
            fresh = iter(self._predicted_ious)
            ious = [
                prompted_iou[position, o] if (position, o) in prompted_iou else next(fresh)
                for o in object_ids
            ]
            objects = self._objects(state, position, object_ids, logits, ious)
            yield TrackedFrame(*time, objects=objects)
            self._promote(state, (position,))
            _forget(state, position - _MEMORY_FRAMES)
            position += 1

    def _promote(self, state: dict[str, Any], positions: Iterable[int]) -> None:
        """Memories back to fp32 on a CPU, their values still those of bf16.

        The predictor stores bf16 always and counts on a concatenation with fp32 pointers to
        promote it; an object that has only memories (prompted later than this frame) would crash.
        """
        if self._device.type == "cuda":
            return
        for outputs in state["output_dict_per_obj"].values():
            for frames in outputs.values():
                for position in positions:
                    if position in frames:
                        memory = frames[position]["maskmem_features"]
                        frames[position]["maskmem_features"] = memory.float()

    def _objects(
        self,
        state: dict[str, Any],
        position: int,
        object_ids: Sequence[int],
        logits: torch.Tensor,
        ious: Sequence[float | None],
    ) -> tuple[TrackedObject, ...]:
        masks = (logits[:, 0] > 0).cpu().numpy()
        return tuple(
            TrackedObject(
                object_id=object_id,
                mask=masks[i],
                object_score=_object_score(state["output_dict_per_obj"][i], position),
                predicted_iou=ious[i],
            )
            for i, object_id in enumerate(object_ids)
        )

    def _add_prompts(
        self, state: dict[str, Any], position: int, prompts: Sequence[Prompt]
    ) -> dict[int, float | None]:
        """Predicted IoU by object id; None for a mask prompt, which the model takes as it is."""
        scores: dict[int, float | None] = {}
        for prompt in prompts:
            self._predicted_ious.clear()
            if prompt.mask_rle is not None:
                size = state["video_height"], state["video_width"]
                mask = torch.from_numpy(rle.decode(prompt.mask_rle, *size))
                self._predictor.add_new_mask(state, position, prompt.object_id, mask)
                scores[prompt.object_id] = None
            else:
                self._predictor.add_new_points_or_box(
                    state,
                    position,
                    prompt.object_id,
                    points=np.array(prompt.points_xy, np.float32) if prompt.points_xy else None,
                    labels=np.array(prompt.point_labels, np.int32) if prompt.points_xy else None,
                    box=None if prompt.box_xyxy is None else np.array(prompt.box_xyxy, np.float32),
                )
                scores[prompt.object_id] = self._predicted_ious[-1]
        return scores

    def _new_state(self, window: FrameWindow, size: tuple[int, ...]) -> dict[str, Any]:
        """What `SAM2VideoPredictor.init_state` (:44-105) builds, without loading a video."""
        return {
            "images": window,
            "num_frames": window.length if window.length is not None else _ENDLESS,
            "offload_video_to_cpu": False,
            "offload_state_to_cpu": False,
            "video_height": size[0],
            "video_width": size[1],
            "device": self._device,
            "storage_device": self._device,
            "point_inputs_per_obj": {},
            "mask_inputs_per_obj": {},
            "cached_features": {},
            "constants": {},
            "obj_id_to_idx": OrderedDict(),
            "obj_idx_to_id": OrderedDict(),
            "obj_ids": [],
            "output_dict_per_obj": {},
            "temp_output_dict_per_obj": {},
            "frames_tracked_per_obj": {},
        }

    def _image_of(self, rgb: NDArray[np.uint8]) -> torch.Tensor:
        """float32 (3, S, S), resized and normalised as officially (misc.py:92-101)."""
        square = Image.fromarray(rgb).resize((self._size_px, self._size_px))
        image = torch.from_numpy(np.array(square)).permute(2, 0, 1).float() / 255
        return (image - _MEAN) / _STD

    def _keep_predicted_iou(self, _module: object, _inputs: object, outputs: Any) -> None:
        # Of several candidate masks the predictor takes the one with the highest estimate.
        self._predicted_ious.append(float(outputs[1].float().max()))

    def _autocast(self) -> AbstractContextManager[object]:
        """The official numerics: bf16 autocast over fp32 weights on CUDA, plain fp32 on a CPU."""
        if self._device.type == "cuda":
            return torch.autocast("cuda", torch.bfloat16)
        return nullcontext()


def _object_score(outputs: Mapping[str, Mapping[int, Any]], position: int) -> float:
    found = outputs["cond_frame_outputs"].get(position)
    if found is None:
        found = outputs["non_cond_frame_outputs"][position]
    return float(found["object_score_logits"])


def _forget(state: dict[str, Any], position: int) -> None:
    """Drop what no later frame can read."""
    for index, outputs in state["output_dict_per_obj"].items():
        outputs["non_cond_frame_outputs"].pop(position, None)
        state["frames_tracked_per_obj"][index].pop(position, None)
