"""Value types of the pipeline, in the order in which its stages make them.

Types here are frozen and have no behavior except their checks. All but `Frame` and `Detections`
cross operators as Arrow rows (`dataset.arrow` derives the schemas from these classes), so their
fields are plain: str, int, float, bool, bytes, tuples and other types of this module.

Conventions. Times are int64 nanoseconds of presentation time (`_ns`). `frame_index` counts a
video's frames in presentation order from 0, before sampling. Intervals are `[start, stop)`. Boxes
are `box_xyxy` in display pixels with exclusive max. The display picture is the coded picture,
stretched to square pixels, then mirrored, then rotated, as the file says.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from pvtt_flow.errors import FailureKind

Stage = Literal["inspect", "detect", "propagate", "judge", "write"]
Origin = Literal["detector", "manifest"]
FrameFlag = Literal["prompted", "absent", "border"]
VideoFlag = Literal["truncated"]
Status = Literal["ok", "empty", "failed", "quarantined"]
VerdictName = Literal["accept", "review", "reject"]
AddProducts = Literal["always", "unprompted", "never"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """Instruction to the tracker: this object is here, on this frame."""

    object_id: int
    """Number of the object within its shot, from 0."""
    frame_index: int
    label: str = "product"
    box_xyxy: tuple[float, ...] | None = None
    """Four numbers, display pixels."""
    points_xy: tuple[tuple[float, ...], ...] = ()
    """Pairs, display pixels."""
    point_labels: tuple[int, ...] = ()
    """A label for each point: 1 on the object, 0 on the background."""
    mask_rle: str | None = None
    """COCO compressed RLE counts at display size; with their size, as `rle.to_text` makes it, until
    they are compared with the video."""
    correction: bool = False
    """True if points and box refine the mask that was tracked up to this frame; False if they
    replace it."""
    score: float | None = None
    """The detector's confidence; null for a manifest prompt."""
    margin: float | None = None
    """Difference of its rank and that of the best product that was not chosen, as a share of its
    rank: 1 without any, 0 for a tie; null for a manifest prompt, and in older versions."""
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
            raise ValueError("a correction must have points or a box and no mask, got a mask")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Video that was listed but not opened yet."""

    video_id: str
    uri: str
    etag: str
    """Store's ETag or a content hash; another one means that the content changed."""
    size_bytes: int
    name: str = ""
    """Path within the input, from which the video_id is made; empty if the manifest gives the
    id."""
    prompts: tuple[Prompt, ...] = ()
    """From the manifest."""
    shots: tuple[tuple[int, ...], ...] = ()
    """Frames `[start, stop)`, from the manifest; if empty, cuts are detected."""
    add_products: AddProducts | None = None
    """From the manifest; null: as the config says (`DetectParams.add_products`)."""
    attributes: dict[str, str] | None = None
    """Own columns of the manifest, as text; null without any: those in the dataset stay."""
    work_key: str = ""
    """Hash of content, of the settings that change results, of weights and of the schema version;
    set by the plan."""
    attempts: int = 0
    """Failed attempts at this work_key so far."""
    input_uri: str = ""
    """Value of `$.input.uri` under which the video was listed."""
    expected_run_id: str | None = None
    """Run whose committed results this run replaces, as the plan found them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Video:
    """Facts of a source from its container and its first decoded frame."""

    container: str
    codec: str
    pixel_format: str
    width_px: int
    height_px: int
    """Display size."""
    coded_width_px: int
    coded_height_px: int
    """Size after the container's cropping."""
    sample_aspect_num: int = 1
    sample_aspect_den: int = 1
    """Width of a coded pixel divided by its height. The picture is stretched horizontally if pixels
    are wide, vertically if they are tall, and its size is rounded to whole pixels."""
    mirrored: bool = False
    """True if the stretched picture is then flipped left to right."""
    rotation_deg: int
    """Clockwise rotation, applied last: 0, 90, 180 or 270."""
    fps_num: int
    fps_den: int
    """Frames per second: of the header, or of the first frames if they contradict it."""
    duration_ns: int | None
    """Duration from the header; null if the container has none."""
    num_frames_from_header: int | None
    seekable: bool = True
    """False if a scan has found frames that are at other times than their timestamps in the file,
    so that a seek would miss them."""
    content_hash: str | None = None
    """Hash of all bytes; null before the whole video was read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """Interval of one video without a cut; holds no pixels."""

    shot_id: str
    index: int
    start_frame: int
    stop_frame: int
    start_ns: int
    stop_ns: int
    """Time of the frame after the shot; at the video's end, the last frame's time plus 1/fps."""
    times_ns: tuple[int, ...]
    """Presentation time of each frame of the shot, by which a frame is found again."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Decoded frame in display orientation; never leaves the process that decoded it."""

    frame_index: int
    pts_ns: int
    rgb: NDArray[np.uint8]
    """uint8 (H, W, 3) at display size."""


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """Detections on one frame (structure of arrays), best score first."""

    boxes_xyxy: NDArray[np.float32]
    """float32 (N, 4), display pixels."""
    scores: NDArray[np.float32]
    """float32 (N,) in [0, 1]."""
    labels: tuple[str, ...]
    """Class names, N of them."""

    def __post_init__(self) -> None:
        n = len(self.labels)
        if self.boxes_xyxy.shape != (n, 4) or self.scores.shape != (n,):
            raise ValueError(
                f"Detections of {n} labels must have boxes ({n}, 4) and scores ({n},), "
                f"got {self.boxes_xyxy.shape} and {self.scores.shape}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """Product that the detector sees on one of the frames of a shot that are searched."""

    frame_index: int
    track: int
    """Number of the product within its shot, by which its sightings belong together."""
    label: str
    box_xyxy: tuple[float, ...]
    """Four numbers, display pixels."""
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskConfidence:
    """Confidence of SAM 2 in a mask, by its logits before holes are filled and it is resized; null
    where it has no such value."""

    mask_entropy: float | None = None
    """Bits of entropy for each pixel of the mask; 0 is certain."""
    stability_score: float | None = None
    """IoU of the masks above the logits 1 and -1."""
    soft_dice: float | None = None
    """Dice of the mask and of its pixels' probabilities."""
    candidate_iou: float | None = None
    """Least IoU of the mask and another one of SAM 2's candidates; null where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Appearance:
    """Look of an object on one frame, by its mask; null where it has no such value."""

    color_distance: float | None = None
    """Hellinger distance of the colors inside the mask and inside the prompted one: 0 for equal
    ones, 1 without a common color."""
    contour_contrast: float | None = None
    """Median color difference (CIE76) between both sides of the outline; null if the outline is
    outside the picture."""
    flow_iou: float | None = None
    """IoU with the mask of the processed frame before, moved by the optical flow; null without
    `measure.flow`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskletFrame:
    """Object on one frame: its mask, its box and the tracker's scores."""

    frame_index: int
    pts_ns: int
    rle: str | None
    """COCO compressed RLE counts at display size; null if the object is absent."""
    box_xyxy: tuple[int, ...] | None
    """Tight box of the whole mask, display pixels, exclusive max; null if the object is absent."""
    largest_fragment_box_xyxy: tuple[int, ...] | None = None
    """Box of the largest 8-connected piece alone, by which specks do not make the box too large, of
    equals the leftmost; null if the object is absent."""
    area_px: int
    object_score: float | None
    """Object score logit of SAM 2, above 0 if the object is present; null on frames that
    `tracker.direction` leaves out."""
    predicted_iou: float | None
    """Predicted IoU of SAM 2 for the chosen mask; null if a mask prompt replaced the mask,
    or a baseline tracked it."""
    fragments: int
    """Number of 8-connected pieces of the mask; 0 if the object is absent."""
    holes: int = 0
    """Number of 4-connected pieces of background that the mask surrounds."""
    compactness: float | None = None
    """4 pi area / perimeter^2: 1 for a disc, less for other outlines; null if the object is
    absent."""
    previous_iou: float | None = None
    """IoU with the mask of the processed frame before; null if the object is absent on one of
    both."""
    confidence: MaskConfidence | None = None
    """Null where the tracker gives none: a mask prompt, a baseline, an older version."""
    appearance: Appearance | None = None
    """Null if the object is absent, without `measure.appearance`, and in older versions."""
    detector_iou: float | None = None
    """IoU of the mask's box and of the product on this frame that overlaps it most, 0 without any;
    null on frames that were not searched (`detect.recheck_every`), and where the object is
    absent."""
    backward_iou: float | None = None
    """IoU with the mask of a pass back from the object's last mask; null without
    `measure.backward`, before the prompt, from the last mask on and where the object is absent."""
    salient_iou: float | None = None
    """IoU with what is salient in the picture and no other object's; null on frames that were not
    looked at (`measure.salient`), and where the object is absent."""
    flags: tuple[FrameFlag, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """QC measurements of one masklet; fractions are of the shot's processed frames."""

    num_frames: int
    presence: float
    """Fraction of frames with a mask."""
    visibility_flips: int
    """Number of changes between present and absent from frame to frame."""
    area_median: float | None
    """Median mask area over frames with a mask, as a fraction of the picture."""
    area_jump_max: float | None
    """Largest |ln(area[t+1] / area[t])| over consecutive frames with a mask."""
    box_jump_max: float | None
    """Largest move of the box center between consecutive frames with a mask, in box diagonals."""
    object_score_p05: float | None
    """5th percentile over frames with a mask."""
    predicted_iou_mean: float | None
    predicted_iou_p05: float | None
    border_contact: float
    """Fraction of frames with a mask whose mask touches the picture's border."""
    fragments_mean: float | None
    prompt_iou: float | None
    """IoU of the prompt box and the mask's box on the prompted frame."""
    holes_mean: float | None = None
    """Mean number of holes; this and the next ones are over frames with a mask, null without any
    that has a value."""
    compactness_mean: float | None = None
    previous_iou_mean: float | None = None
    previous_iou_p05: float | None = None
    mask_entropy_mean: float | None = None
    stability_score_mean: float | None = None
    soft_dice_mean: float | None = None
    candidate_iou_mean: float | None = None
    color_distance_mean: float | None = None
    color_distance_p95: float | None = None
    contour_contrast_mean: float | None = None
    flow_iou_mean: float | None = None
    prompt_margin: float | None = None
    """Least margin of the detected prompts."""
    detector_iou_mean: float | None = None
    backward_iou_mean: float | None = None
    backward_iou_prompt: float | None = None
    """Backward IoU of the first prompted mask: the track that came back to its beginning."""
    salient_iou_mean: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """Run of doubtful frames, and a product that the detector saw there and that may be the
    object."""

    start_frame: int
    stop_frame: int
    """Frames `[start_frame, stop_frame)`."""
    prompt_frame: int
    box_xyxy: tuple[float, ...]
    """The product's box on that frame, four numbers, display pixels."""
    cycle_iou: float
    """Overlap of the prompted mask and of the mask to which the product leads back there."""
    gain: float | None
    """Rise of the mean probability of a good mask; None if the run was not tracked again."""
    kept: bool
    """True if the new masks took the place of the old ones."""

    def __str__(self) -> str:
        """Return what was tried, for people."""
        gain = "" if self.gain is None else f", gain {self.gain:+.2g}"
        return (
            f"frames {self.start_frame} to {self.stop_frame - 1} from a box on frame "
            f"{self.prompt_frame}: {'kept' if self.kept else 'not kept'}, "
            f"cycle IoU {self.cycle_iou:.2g}{gain}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Masklet:
    """Masks of one object through one shot: a row of the `masklets` table."""

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
    repairs: tuple[Repair, ...] = ()
    qc: Measurements | None = None
    verdict: VerdictName | None = None
    reasons: tuple[str, ...] = ()
    good_probability: float | None = None
    """Calibrated probability that the mean J is 0.75 or more; null without a mask."""
    gone_probability: float | None = None
    """Calibrated probability that a mask is shown though the object is gone; null without a
    mask."""
    work_key: str = ""
    run_id: str = ""
    config_hash: str = ""
    detector_hash: str = ""
    tracker_hash: str = ""
    detector_license: str | None = None
    tracker_license: str | None = None
    code_version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Reason why a video could not be processed."""

    stage: Stage
    kind: FailureKind
    message: str
    traceback: str | None = None
    node_id: str | None = None
    """Ray node on which it happened, if the fault may be the machine's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Seconds that each stage spent on this shot, and how well they were used."""

    inspect_s: float = 0.0
    detect_s: float = 0.0
    propagate_s: float = 0.0
    """Wall time from the shot's first frame to its last; concurrent shots share these seconds."""
    slot_utilization: float = 0.0
    """Share of the tracker's slots in use, averaged over the shot's frames."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotRecord:
    """Row between operators: a shot, or a whole video before `inspect`.

    Stages fill the fields from top to bottom. After a `failure`, later stages pass the row on
    unchanged, so that the outcome of each input is recorded.
    """

    # All masks of a shot are one array of text.
    LARGE_TEXT: ClassVar[bool] = True

    source: Source
    video: Video | None = None
    shot: Shot | None = None
    num_shots: int = 1
    prompts: tuple[Prompt, ...] = ()
    searched: tuple[int, ...] = ()
    """Frames that were searched again, with those of the prompts; none without
    `detect.recheck_every`."""
    sightings: tuple[Sighting, ...] = ()
    """Products on them."""
    masklets: tuple[Masklet, ...] = ()
    num_frames: int = 0
    """Number of processed frames: those of the shot that sampling takes."""
    num_resumed_frames: int = 0
    """Number of them that were tracked before an interruption."""
    flags: tuple[VideoFlag, ...] = ()
    failure: Failure | None = None
    timings: Timings = field(default_factory=Timings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """Origin of a row: the run, the settings, the weights and the code that made it."""

    run_id: str
    config_hash: str
    """Hash of the settings that change results, and of no others."""
    detector_hash: str
    """SHA-256 of the weights; `tracker_hash` likewise."""
    tracker_hash: str
    detector_license: str | None = None
    """License of named weights; None for others, whose license is not known."""
    tracker_license: str | None = None
    code_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoRecord:
    """Row of the `videos` table; a video is in the dataset if its row is."""

    video_id: str
    uri: str
    etag: str
    size_bytes: int
    content_hash: str | None = None
    """Hash of all bytes, by which a file that was only touched or copied is recognized; null if
    the video could not be read, or was processed before this column existed."""
    processed_etag: str | None = None
    """Etag in the work_key, if the file was touched since: then `etag` is its present one."""
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
    """Number of processed frames: those that sampling takes, also in shots without a product."""
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
    """Failed attempts at this work_key, with the current one; 0 if it did not fail."""
    attributes: dict[str, str] | None = None
    """Own columns of the manifest, as text; they change no results."""
    input_uri: str = ""
    """Value of `$.input.uri` of the run that listed the video; a later run of the same input marks
    the video if it is gone."""
    gone_at_ns: int | None = None
    """Unix time at which a run first missed the video in its input; null while it is there."""
    work_key: str
    run_id: str
    config_hash: str
    detector_hash: str
    tracker_hash: str
    detector_license: str | None = None
    tracker_license: str | None = None
    code_version: str
    finished_at_ns: int
    """Unix time, UTC."""
