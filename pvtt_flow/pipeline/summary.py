"""Summary of a run in numbers."""

from dataclasses import dataclass, field

from pvtt_flow.stages.write import ShotResult
from pvtt_flow.types import VideoRecord


@dataclass(slots=True, kw_only=True)
class Summary:
    """Counts of a run, updated while it runs."""

    run_id: str
    num_planned: int
    plan: dict[str, int]
    """Number of inputs by reason."""
    num_videos: int = 0
    """Number of finished videos, failed ones included."""
    num_committed: int = 0
    """Number of finished videos that are in the dataset."""
    num_superseded: int = 0
    """Number of videos that another run finished first; its results stay."""
    num_shots: int = 0
    num_masklets: int = 0
    num_frames: int = 0
    num_resumed_frames: int = 0
    """Number of frames that an earlier run had tracked before it was interrupted."""
    num_tracked_frames: int = 0
    """Number of frames of shots with a product."""
    wall_s: float = 0.0
    """Seconds from the first row to the last commit, loading of models included."""
    propagate_s: float = 0.0
    """Sum over shots of their seconds in the tracker; concurrent shots share these seconds."""
    max_concurrent_shots: int = 0
    """Slots of each tracker, from `tracker.max_concurrent_shots`."""
    slot_utilization: float = 0.0
    """Fraction of the tracker's slots that a step uses, averaged over steps."""
    statuses: dict[str, int] = field(default_factory=dict)
    """Number of videos by status."""
    verdicts: dict[str, int] = field(default_factory=dict)
    """Number of masklets by verdict."""
    failures: list[dict[str, str]] = field(default_factory=list)
    """Uri, stage, kind and message of each failed video."""
    version: int | None = None
    """Version of the dataset after the last commit."""

    def add_shot(self, shot_result: ShotResult) -> None:
        """Count a finished shot."""
        self.num_shots += 1
        self.num_frames += shot_result.num_frames
        self.num_resumed_frames += shot_result.num_resumed_frames
        self._add_slot_utilization(shot_result.num_frames, shot_result.timings.slot_utilization)
        self.propagate_s += shot_result.timings.propagate_s
        if shot_result.failure is None:
            for verdict in shot_result.verdicts:
                self.verdicts[verdict] = self.verdicts.get(verdict, 0) + 1

    def add_video(self, record: VideoRecord) -> None:
        """Count a finished video."""
        self.num_videos += 1
        self.num_masklets += record.num_masklets
        self.statuses[record.status] = self.statuses.get(record.status, 0) + 1
        if record.failure_kind is not None:
            self.failures.append(
                {
                    "uri": record.uri,
                    "stage": record.failure_stage or "",
                    "kind": record.failure_kind,
                    "message": record.failure_message or "",
                }
            )

    def _add_slot_utilization(self, num_frames: int, slot_utilization: float) -> None:
        """Update the harmonic mean over frames: a step that uses more slots has more frames."""
        if num_frames and slot_utilization:
            before = self.num_tracked_frames
            steps = (
                before / self.slot_utilization if before else 0
            ) + num_frames / slot_utilization
            self.num_tracked_frames += num_frames
            self.slot_utilization = self.num_tracked_frames / steps

    @property
    def failure_fraction(self) -> float:
        """Fraction of the finished videos that failed."""
        return len(self.failures) / self.num_videos if self.num_videos else 0.0

    @property
    def frames_per_s(self) -> float:
        """Processed frames per second of the whole run."""
        num_frames = self.num_frames - self.num_resumed_frames
        return num_frames / self.wall_s if self.wall_s else 0.0
