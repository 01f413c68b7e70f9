"""The nouns of the flow, in the order in which it makes them.

Everything here is frozen and carries no behaviour beyond its checks. All of it except `Frame`
and `Detections` crosses operators as Arrow (`storage.arrow` derives the schemas from these
classes), so fields are plain: str, int, float, bool, bytes, tuples and other nouns.

Conventions. Time is int64 nanoseconds of presentation time (`_ns`); `frame_index` counts a
video's frames in presentation order from 0, before any sampling; intervals are `[start, stop)`;
boxes are `box_xyxy` in display pixels with exclusive max. The display is what people are meant to
see: the coded picture stretched to square pixels, mirrored where it says so, and turned.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pvtt_flow.errors import FailureKind

Stage = Literal["inspect", "detect", "propagate", "judge", "write"]
Origin = Literal["detector", "manifest"]
FrameFlag = Literal["prompted", "absent", "border"]
VideoFlag = Literal["truncated"]
Status = Literal["ok", "empty", "failed", "quarantined"]
VerdictName = Literal["accept", "review", "reject"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One instruction to the tracker: this object is here, on this frame."""

    object_id: int
    """Stable within a shot, from 0."""
    frame_index: int
    label: str = "product"
    box_xyxy: tuple[float, ...] | None = None
    """Four numbers, display pixels."""
    points_xy: tuple[tuple[float, ...], ...] = ()
    """Pairs, display pixels."""
    point_labels: tuple[int, ...] = ()
    """One a point: 1 on the object, 0 not on it."""
    mask_rle: str | None = None
    """COCO compressed RLE counts at display size."""
    correction: bool = False
    """Whether points and box are read together with what was tracked up to this frame, rather than
    alone."""
    score: float | None = None
    """The detector's confidence; null for a manifest prompt."""
    origin: Origin = "detector"

    def __post_init__(self) -> None:
        if self.box_xyxy is not None and len(self.box_xyxy) != 4:
            raise ValueError(f"box_xyxy must have 4 numbers, got {self.box_xyxy}")
        if len(self.points_xy) != len(self.point_labels):
            raise ValueError(
                f"points_xy and point_labels must be equally long, "
                f"got {len(self.points_xy)} and {len(self.point_labels)}"
            )
        if self.box_xyxy is None and not self.points_xy and self.mask_rle is None:
            raise ValueError("a prompt must have a box, points or a mask, got none of them")
        if self.correction and self.mask_rle is not None:
            raise ValueError("a correction must have points or a box alone, got a mask")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A video that can be found again, before anyone has opened it."""

    video_id: str
    uri: str
    etag: str
    """Changes when the content changes: the store's ETag, or a content hash."""
    size_bytes: int
    prompts: tuple[Prompt, ...] = ()
    """From the manifest."""
    shots: tuple[tuple[int, ...], ...] = ()
    """Frames `[start, stop)`, from the manifest; empty where cuts are to be looked for."""
    work_key: str = ""
    """Hash of content, result-changing config, weights and schema; set by the plan."""
    attempts: int = 0
    """Failed attempts at this work_key so far."""
    input_uri: str = ""
    """The `$.input.uri` that it was found by."""
    seen_run_id: str | None = None
    """The run that had sealed it when this one was planned, whose results this one replaces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Video:
    """What the container and the first decoded frame say about a source."""

    container: str
    codec: str
    pixel_format: str
    width_px: int
    height_px: int
    """Display size."""
    coded_width_px: int
    coded_height_px: int
    sample_aspect_num: int = 1
    sample_aspect_den: int = 1
    """Width over height of a coded pixel: a picture of wide ones is stretched to the right, of tall
    ones downwards, and rounded to whole pixels."""
    mirrored: bool = False
    """Whether it is flipped left to right after that."""
    rotation_deg: int
    """Clockwise turn that comes last: 0, 90, 180 or 270."""
    fps_num: int
    fps_den: int
    duration_ns: int | None
    """From the header; null when the container does not know."""
    num_frames_from_header: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """A cut-free interval of one video; no pixels."""

    shot_id: str
    index: int
    start_frame: int
    stop_frame: int
    start_ns: int
    stop_ns: int
    """When the frame after it is shown; at the video's end, when the last one has lasted 1/fps."""
    times_ns: tuple[int, ...]
    """Presentation time of each of its frames, by which they are found again."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One decoded frame, upright. Lives only where it is used; never crosses an operator."""

    frame_index: int
    pts_ns: int
    rgb: NDArray[np.uint8]
    """uint8 (H, W, 3) at display size."""


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """What the detector saw on one frame (structure of arrays), best score first."""

    boxes_xyxy: NDArray[np.float32]
    """float32 (N, 4), display pixels."""
    scores: NDArray[np.float32]
    """float32 (N,) in [0, 1]."""
    labels: tuple[str, ...]
    """N class names."""

    def __post_init__(self) -> None:
        n = len(self.labels)
        if self.boxes_xyxy.shape != (n, 4) or self.scores.shape != (n,):
            raise ValueError(
                f"Detections of {n} labels must have boxes ({n}, 4) and scores ({n},), "
                f"got {self.boxes_xyxy.shape} and {self.scores.shape}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskletFrame:
    """One object on one frame."""

    frame_index: int
    pts_ns: int
    rle: str | None
    """COCO compressed RLE counts at display size; null when the object is absent."""
    box_xyxy: tuple[int, ...] | None
    """Tight box of the mask, display pixels, exclusive max; null when absent."""
    area_px: int
    object_score: float | None
    """SAM 2's object score logit, above 0 means present; null where it did not look, on the side
    of the prompts that `tracker.direction` leaves out."""
    predicted_iou: float | None
    """SAM 2's own estimate for the chosen mask; null where a mask prompt replaced it."""
    fragments: int
    """8-connected pieces of the mask; 0 when absent."""
    flags: tuple[FrameFlag, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """QC of one masklet, before any threshold. Fractions are of the shot's processed frames."""

    num_frames: int
    presence: float
    """Fraction of frames with a mask."""
    visibility_flips: int
    """Changes between present and absent from frame to frame."""
    area_median: float | None
    """Median mask area over frames with a mask, as a fraction of the picture."""
    area_jump_max: float | None
    """Largest |ln(area[t+1] / area[t])| over neighbouring present frames."""
    box_jump_max: float | None
    """Largest move of the box centre between neighbouring present frames, in box diagonals."""
    object_score_p05: float | None
    """5th percentile over frames with a mask."""
    predicted_iou_mean: float | None
    predicted_iou_p05: float | None
    border_contact: float
    """Fraction of present frames whose mask touches the picture's border."""
    fragments_mean: float | None
    prompt_iou: float | None
    """IoU of the prompt box and the mask's box on the prompted frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Masklet:
    """One object's masks through one shot: a row of the `masklets` table."""

    masklet_id: str
    shot_id: str
    video_id: str
    object_id: int
    label: str
    shot_index: int
    start_frame: int
    stop_frame: int
    start_ns: int
    stop_ns: int
    width_px: int
    height_px: int
    prompts: tuple[Prompt, ...]
    frames: tuple[MaskletFrame, ...]
    qc: Measurements | None = None
    verdict: VerdictName | None = None
    reasons: tuple[str, ...] = ()
    work_key: str = ""
    run_id: str = ""
    config_hash: str = ""
    detector_hash: str = ""
    tracker_hash: str = ""
    code_version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a video could not be processed."""

    stage: Stage
    kind: FailureKind
    message: str
    traceback: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Seconds spent on this shot in each stage's own code, and how well they were used."""

    inspect_s: float = 0.0
    detect_s: float = 0.0
    propagate_s: float = 0.0
    """From the shot's start to its end; those that are tracked beside it spend the same seconds."""
    lanes_busy: float = 0.0
    """The share of its tracker's lanes that were at work, on average over the shot's frames."""
    retries: int = 0
    """Requests to stores that were made again, by this shot or those beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotRecord:
    """The one row type between operators: a shot (before `inspect`, a whole video) on its way.

    Fields fill from top to bottom, one stage each; a `failure` stops the filling and the row
    then only travels on, so that every input reaches the ledger.
    """

    source: Source
    video: Video | None = None
    shot: Shot | None = None
    num_shots: int = 1
    prompts: tuple[Prompt, ...] = ()
    masklets: tuple[Masklet, ...] = ()
    num_frames: int = 0
    """Frames that were decoded and tracked in this shot."""
    flags: tuple[VideoFlag, ...] = ()
    failure: Failure | None = None
    timings: Timings = field(default_factory=Timings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """What made a row: stamped on everything that a run writes."""

    run_id: str
    config_hash: str
    """Of the settings that change results, and only those."""
    detector_hash: str
    """SHA-256 of the weights, as is `tracker_hash`."""
    tracker_hash: str
    code_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoRecord:
    """A row of the `videos` table: a video is in the dataset when its seal is."""

    video_id: str
    uri: str
    etag: str
    size_bytes: int
    container: str | None
    codec: str | None
    pixel_format: str | None
    width_px: int | None
    height_px: int | None
    coded_width_px: int | None
    coded_height_px: int | None
    sample_aspect_num: int | None = None
    sample_aspect_den: int | None = None
    mirrored: bool | None = None
    rotation_deg: int | None
    fps_num: int | None
    fps_den: int | None
    duration_ns: int | None
    num_frames: int
    """Frames that were decoded and tracked."""
    num_shots: int
    num_masklets: int
    flags: tuple[VideoFlag, ...]
    inspect_s: float
    detect_s: float
    propagate_s: float
    status: Status
    failure_stage: Stage | None
    failure_kind: FailureKind | None
    failure_message: str | None
    failure_traceback: str | None
    attempts: int
    """Failed attempts at this work_key, this one included; 0 when it did not fail."""
    input_uri: str = ""
    """The `$.input.uri` of the run that found it: what is gone, is gone from there."""
    gone_at_ns: int | None = None
    """When a run first missed the video in its input; null while it is there."""
    work_key: str
    run_id: str
    config_hash: str
    detector_hash: str
    tracker_hash: str
    code_version: str
    finished_at_ns: int
    """Unix time, UTC."""
