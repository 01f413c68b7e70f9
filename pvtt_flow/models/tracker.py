"""Tracker protocol of the pipeline: prompted shots in, masks out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from pvtt_flow.models.detector import Device
from pvtt_flow.params import Params
from pvtt_flow.types import Frame, MaskConfidence, Prompt

# Prompted frames of one shot; each is decoded and held in memory until tracking starts.
MAX_PROMPTED_FRAMES = 64


MemoryRule = Literal["sam2", "score_gated", "dam4sam", "samurai"]
"""Rule for the frames that are remembered."""


Method = Literal["detector_boxes", "sam_per_frame", "stcn", "xmem", "cutie"]
"""Baseline that carries masks through a shot."""


class BaselineParams(Params):
    """Method that tracks instead of SAM 2, to compare with; SAM 2 turns prompts into its first
    masks."""

    method: Method | None = None
    """`detector_boxes`: the detector's boxes are the masks (with `detect.recheck_every: 1` those of
    each frame); `sam_per_frame`: each frame alone, prompted with the box of the mask before;
    `stcn`, `xmem`, `cutie`: the networks of that name; null: none, SAM 2 tracks."""
    weights: str | None = None
    """Path or uri of the network's state dict, as its authors published it."""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    """SHA-256 of the weights file, 64 hexadecimal digits; required with `weights`."""

    @model_validator(mode="after")
    def _check_weights(self) -> Self:
        has_network = self.method not in {None, "detector_boxes", "sam_per_frame"}
        given = {"weights": self.weights, "sha256": self.sha256}
        for name, value in given.items():
            if (value is not None) != has_network:
                wanted = "set" if has_network else "null"
                method = self.method or "method: null"
                raise ValueError(f"{name} must be {wanted} for {method}, got {value or 'null'}")
        return self


class TrackerParams(Params):
    """The SAM 2 model, or a descendant of it, that tracks products."""

    weights: str = "embedded_tracker"
    """`embedded_tracker`, another name that `pvtt-flow models list` shows, or the path or uri of a
    state dict (`.pt` or `.safetensors`)."""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    """SHA-256 of the weights file, 64 hexadecimal digits. Required for a `.pt` file of your own,
    which can run code when it is loaded."""
    config: str | None = None
    """Architecture of a weights path: the path of a `.yaml` file of SAM 2, EfficientTAM, EdgeTAM or
    SAM 3's tracker, or the name of a known checkpoint with the same architecture."""
    device: Device = "auto"
    """Device of the model; `auto`: CUDA if available, else CPU."""
    direction: Literal["forward", "backward", "both"] = "both"
    """Direction of tracking: `forward` from an object's first prompt, `backward` from its last
    prompt, or `both` ways from its first prompt."""
    max_concurrent_shots: Annotated[int, Field(ge=1, le=256)] = 8
    """Number of shots that one tracker processes together (its slots); each object of a shot needs
    a few MB of device memory."""
    max_prompted_frames: Annotated[int, Field(ge=1, le=MAX_PROMPTED_FRAMES)] = 8
    """Largest number of prompted frames per object; all of them stay in the memory bank for the
    whole shot. The prompts of all objects of a shot may be on at most 64 frames."""
    fill_holes_px: Annotated[int, Field(ge=0)] = 0
    """Largest hole of a mask that is filled, in pixels of the model's mask, whose side is a quarter
    of the model's input; 0: none. SAM 2's predictor fills 8 if its CUDA extension was built."""
    memory: MemoryRule = "sam2"
    """Rule for the frames that are remembered beside the prompted ones. `sam2`: the latest;
    `score_gated`: the latest with the object and a good mask, as in SAM 3; `samurai`: the same,
    where the object also moves as predicted; `dam4sam`: each fifth with the object, and some on
    which something similar was near. All but `sam2` make each step wait for the GPU."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision of the model; `auto`: bfloat16 autocast on CUDA, as in SAM 2's examples, and
    float32 on CPU."""
    compile_steps: bool | None = None
    """Compile the model before the first frame and replay its steps as CUDA graphs: the first start
    on a machine takes minutes longer, each step is faster; null: only on CUDA."""
    resize_on_device: bool | None = None
    """Resize frames on the device, to the same bytes as on the CPU; null: only on CUDA."""
    baseline: BaselineParams = BaselineParams()
    """Method that tracks instead of SAM 2, to compare with."""


SavedState: TypeAlias = Mapping[str, NDArray[Any]]
"""Tracker's state of a shot after one of its frames, as named arrays that are plain data."""


class ForeignStateError(ValueError):
    """Saved state that a tracker cannot go on from: of another shot, setting or version."""


ReadFrames = Callable[[int, int | None], Iterator[Frame]]
"""Reads the frames at positions `[start, stop)` of a shot in order; to the end if stop is None."""


@dataclass(frozen=True, slots=True, eq=False)
class TrackedObject:
    """Mask of one object on one frame."""

    object_id: int
    mask: NDArray[np.bool_]
    """bool (H, W) at display size."""
    object_score: float
    """Logit; above 0 means present."""
    predicted_iou: float | None
    """The model's estimate for this mask; None where a mask prompt replaced it."""
    confidence: MaskConfidence | None = None
    """None where a mask prompt replaced the mask, or a baseline tracked it."""


@dataclass(frozen=True, slots=True, eq=False)
class TrackedFrame:
    """Frame and the objects on it; without objects before the first prompted frame."""

    frame_index: int
    pts_ns: int
    objects: tuple[TrackedObject, ...]
    slot_utilization: float = 1.0
    """Share of the tracker's slots that were in use when this frame was tracked."""
    state: Callable[[], SavedState] | None = None
    """Copies the tracker's state after this frame from its device; where the shot wanted it."""


@dataclass(frozen=True, slots=True, eq=False)
class PromptedShot:
    """Shot to track. Positions count its processed frames, from 0."""

    read: ReadFrames
    prompts: Mapping[int, Sequence[Prompt]]
    """Prompts by position."""
    prompt_frames: Mapping[int, Frame]
    """Prompted frames by position."""
    saved: SavedState | None = None
    """State to go on from; only frames after it are yielded."""
    wants_state: Callable[[], bool] | None = None
    """Returns whether the state after a frame is wanted; called once a frame by the tracker's
    thread."""


class Tracker(Protocol):
    """Tracks the prompted objects of shots; may be called from several threads at once."""

    def track(self, shot: PromptedShot) -> Iterator[TrackedFrame]:
        """Yield the objects of each frame: a forward pass, then a backward pass if one is needed.

        The forward pass yields each position once. The backward pass yields positions again, in
        descending order, with the objects that the forward pass did not track there, so that no
        object comes twice on one frame. Holds only a few frames at a time. Raises what `shot.read`
        raises, DataError of kind `bad_prompt` for prompts that cannot be tracked, and
        ForeignStateError, before the first frame, if `shot.saved` is not a state of this shot.
        """
        ...
