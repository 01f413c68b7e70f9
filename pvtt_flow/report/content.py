"""Content of a report: plain values, which the template shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pvtt_flow.types import VideoRecord

Kind = Literal["doubt", "random", "empty", "failed", "all"]
"""Reason why a video is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Run as its record has it."""

    run_id: str
    status: str
    num_videos: int
    num_masklets: int
    num_frames: int
    wall_s: float
    frames_per_s: float
    slot_utilization: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Counts over all rows of a version."""

    videos: int
    shots: int
    frames: int
    size_bytes: int
    seconds: float
    """Length of the videos by their headers."""
    masklets: int
    gone: int
    inspect_s: float
    detect_s: float
    propagate_s: float
    statuses: Mapping[str, int]
    verdicts: Mapping[str, int]
    reasons: Mapping[str, int]
    labels: Mapping[str, int]
    """The most frequent ones."""
    num_labels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureGroup:
    """Failed videos of one kind."""

    stage: str
    kind: str
    count: int
    uri: str
    """Uri of one of them; the message is of the same one."""
    message: str
    retry: str
    """Command that lets the next run process them again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """Bound of a measurement, by which a verdict or a reason is given."""

    name: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Distribution of one measurement over all masklets."""

    name: str
    low: float
    """Lower edge of the first bin."""
    high: float
    """Upper edge of the last bin."""
    counts: tuple[int, ...]
    """Masklets in each bin; bins are equally wide, and the last one has its upper edge, too."""
    smallest: float
    largest: float
    mean: float
    num_missing: int
    """Masklets without a value."""
    thresholds: tuple[Threshold, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileFitness:
    """Fitness of masklets for one profile."""

    profile: str
    verdicts: Mapping[str, int]
    reasons: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskletRow:
    """Masklet without its frames."""

    masklet_id: str
    video_id: str
    label: str
    object_id: int
    color: str
    """Color of its outline in pictures, as `#00B4FF`."""
    shot_index: int
    start_frame: int
    stop_frame: int
    verdict: str
    reasons: tuple[str, ...]
    values: Mapping[str, float | None]
    """Probabilities and measurements, by the names of their columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Frame of a film strip."""

    jpeg: bytes
    width_px: int
    height_px: int
    caption: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """Film strip of a video; without pictures, the note says why."""

    pictures: tuple[Picture, ...] = ()
    note: str = ""
    prompts: tuple[str, ...] = ()
    """Prompts of the tracker, and repairs, a line each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """Video that is shown, with its masklets in most doubt first."""

    video: VideoRecord
    kind: Kind
    masklets: tuple[MaskletRow, ...]
    num_masklets_left_out: int
    strip: Strip | None
    """None without pictures."""
    preview: str
    """Command that draws all frames."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedMasklet:
    """Masklet of both versions with another verdict."""

    masklet_id: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Differences of this version from an earlier one."""

    version: int
    """Earlier version."""
    verdicts: Mapping[str, tuple[int, int]]
    """Masklets by verdict in the earlier version and in this one."""
    videos: Mapping[str, Sequence[str]]
    """Uris of the videos that are new, removed, of changed content or recomputed."""
    statuses: Mapping[str, int]
    """Videos by their change of status."""
    masklets: Mapping[str, int]
    """Masklets that are added and removed, and those with another verdict by the change."""
    changed: tuple[ChangedMasklet, ...]
    """The first of those with another verdict."""
    num_changed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Content of the page."""

    uri: str
    version: int
    committed_at: datetime | None
    """None if the log no longer has the version's entry."""
    made_at: datetime
    totals: Totals
    failures: tuple[FailureGroup, ...]
    histograms: tuple[Histogram, ...]
    thresholds_note: str
    """Sentence that says where the thresholds are from."""
    fitness: tuple[ProfileFitness, ...]
    fitness_note: str
    """Sentence that says which masklets were judged."""
    runs: tuple[Run, ...]
    sample_note: str
    """Sentence that says which videos are shown."""
    cards: tuple[Card, ...]
    comparison: Comparison | None
