"""What the flow needs of a tracker, whatever is behind it: a stream of frames in, masks out."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from pvtt_flow.data import Frame, Prompt
from pvtt_flow.models.detector import Device


class TrackerParams(BaseModel):
    """Which SAM 2 runs, and how."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    weights: str = "embedded_tracker"
    """A name of `pvtt-flow models list`, or a path to a SAM 2 state dict (`.pt`)."""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    """Of a weights path; must be given for a `.pt` of your own."""
    config: str | None = None
    """For a weights path: the architecture, a `.yaml` path or the name of a known checkpoint."""
    device: Device = "auto"


@dataclass(frozen=True, slots=True, eq=False)
class TrackedObject:
    """One object on one frame, as the tracker sees it."""

    object_id: int
    mask: NDArray[np.bool_]
    """bool (H, W) at display size."""
    object_score: float
    """Logit; above 0 means present."""
    predicted_iou: float | None
    """The model's estimate for this mask; None where a mask prompt replaced it."""


@dataclass(frozen=True, slots=True, eq=False)
class TrackedFrame:
    """A frame's place in time and the objects on it; empty before the first prompted frame."""

    frame_index: int
    pts_ns: int
    objects: tuple[TrackedObject, ...]


class Tracker(Protocol):
    """Follows the prompted objects of one shot."""

    def track(
        self,
        frames: Iterable[Frame],
        prompts: Mapping[int, Sequence[Prompt]],
        prompt_frames: Mapping[int, Frame],
    ) -> Iterator[TrackedFrame]:
        """One TrackedFrame for each of `frames`, in order, holding only a few frames at a time.

        `prompts` and `prompt_frames` are keyed by position in `frames` (0 is the first frame of
        the shot that is processed), and have the same keys.
        """
        ...
