"""Tracks one prompted product through frames in memory with `sam2`'s own video predictor."""

import io
from collections import OrderedDict
from contextlib import redirect_stderr
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from sam2.sam2_video_predictor import SAM2VideoPredictor

from pvtt_flow.training.segmenter.batch import normalised


def propagate(
    model: SAM2VideoPredictor, frames: NDArray[np.uint8], box_xyxy: NDArray[np.floating]
) -> NDArray[np.bool_]:
    """Masks, bool (T, H, W), from frames (T, H, W, 3) RGB and a box on frame 0 in pixels."""
    state = _state(model, frames)
    model.add_new_points_or_box(state, frame_idx=0, obj_id=1, box=box_xyxy.tolist())
    masks = np.zeros(frames.shape[:3], bool)
    # sam2 draws a bar for every clip.
    with torch.inference_mode(), redirect_stderr(io.StringIO()):
        for index, _, logits in model.propagate_in_video(state):
            masks[index] = (logits[0, 0] > 0).numpy()
    return masks


def _state(model: SAM2VideoPredictor, frames: NDArray[np.uint8]) -> dict[str, Any]:
    """What `init_state` makes, but from memory: it reads folders and files only."""
    side = model.image_size
    squeezed = [np.asarray(Image.fromarray(frame).resize((side, side))) for frame in frames]
    cpu = torch.device("cpu")
    state: dict[str, Any] = {
        "images": normalised(np.stack(squeezed)),
        "num_frames": len(frames),
        "offload_video_to_cpu": False,
        "offload_state_to_cpu": False,
        "video_height": frames.shape[1],
        "video_width": frames.shape[2],
        "device": cpu,
        "storage_device": cpu,
        "obj_id_to_idx": OrderedDict(),
        "obj_idx_to_id": OrderedDict(),
        "obj_ids": [],
    }
    for name in (
        "point_inputs_per_obj", "mask_inputs_per_obj", "cached_features", "constants",
        "output_dict_per_obj", "temp_output_dict_per_obj", "frames_tracked_per_obj",
    ):  # fmt: skip
        state[name] = {}
    return state
