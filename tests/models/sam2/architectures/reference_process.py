"""Official EfficientTAM predictor, run by its own package in a process of its own.

The package installs itself as `sam2`, so it cannot be imported beside the real one.
"""

import sys
from collections.abc import Callable
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import tensor

from tests.models.sam2.float32_memories import float32_memories
from tests.models.sam2.official import ObjectOutput, OfficialTracker
from tests.models.sam2.shots import Shot

# Places of the predicted IoUs and the object score in what a decoder returns.
_IOUS, _SCORE = 2, 6
_PREDICTOR = "sam2.sam2_video_predictor.SAM2VideoPredictor"
_SETTINGS = {
    "dynamic_multimask_via_stability": True,
    "dynamic_multimask_stability_delta": 0.05,
    "dynamic_multimask_stability_thresh": 0.98,
}


class OlderTracker(OfficialTracker):
    """Tracker with a predictor of an earlier version, which keeps no scores."""

    def __init__(self, predictor: Any) -> None:
        self.predictor = predictor
        predictor.add_all_frames_to_correct_as_cond = True
        self._ious: dict[int, float] = {}
        self._scores: dict[int, float] = {}
        self._decoded: Any = None
        self._plain_step = predictor.track_step
        predictor.track_step = self._recording_step
        predictor.add_new_points_or_box = self._add_points_or_box
        # The second calls the first, and its result counts.
        for name in ("_forward_sam_heads", "_use_mask_as_output"):
            setattr(predictor, name, self._recording(getattr(predictor, name)))

    def _recording(self, decode: Callable[..., Any]) -> Callable[..., Any]:
        def recording(*args: Any, **kwargs: Any) -> Any:
            self._decoded = decode(*args, **kwargs)
            return self._decoded

        return recording

    def _add_points_or_box(
        self, session: Any, position: int, object_id: int, *, points: Any, labels: Any, box: Any
    ) -> None:
        """Prompt with a box as two points with labels of their own, as later versions do."""
        if box is not None:
            corners = box.reshape(2, 2)
            points = corners if points is None else np.concatenate([corners, points])
            labels = np.array([2, 3, *([] if labels is None else labels)], np.int32)
        self.predictor.add_new_points(session, position, object_id, points, labels)

    def _recording_step(self, frame_idx: int, *args: Any, **kwargs: Any) -> Any:
        result = self._plain_step(frame_idx, *args, **kwargs)
        is_mask_prompt = kwargs["mask_inputs"] is not None
        self._ious[frame_idx] = nan if is_mask_prompt else self._decoded[_IOUS].max().item()
        self._scores[frame_idx] = self._decoded[_SCORE].item()
        return result

    def _object_output(self, session: Any, position: int, frame_output: Any) -> ObjectOutput:
        with_score = {**frame_output, "object_score_logits": tensor(self._scores[position])}
        return super()._object_output(session, position, with_score)


def main(config: Path, request: Path, answer: Path) -> None:
    """Track the shots of a request with its weights; save the outputs by object and position."""
    # Written by the test that started this process.
    asked = torch.load(request, weights_only=False)
    # The names that the package has on its repository.
    text = config.read_text().replace("efficient_track_anything.", "sam2.")
    model: Any = OmegaConf.to_container(OmegaConf.create(text).model)
    model["_target_"] = _PREDICTOR
    model["sam_mask_decoder_extra_args"] = _SETTINGS
    model["binarize_mask_from_pts_for_mem_enc"] = True
    predictor = instantiate(model, _recursive_=True)
    predictor.load_state_dict(asked["weights"])
    tracker = OlderTracker(predictor.eval())
    shots: list[Shot] = asked["shots"]
    with float32_memories(), torch.inference_mode():
        torch.save([tracker.track(shot, asked["direction"]) for shot in shots], answer)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
