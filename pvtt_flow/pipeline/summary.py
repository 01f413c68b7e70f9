"""What a run did, in numbers."""

from dataclasses import dataclass, field

from pvtt_flow.stages.write import ShotResult
from pvtt_flow.types import VideoRecord


@dataclass(slots=True, kw_only=True)
class Summary:
    """Counts of one run; grows while it runs."""

    run_id: str
    num_planned: int
    plan: dict[str, int]
    """Inputs by reason."""
    num_videos: int = 0
    """Finished, whatever came of them."""
    num_superseded: int = 0
    """Of these: another run had finished them first, and its results stay."""
    num_shots: int = 0
    num_masklets: int = 0
    num_frames: int = 0
    wall_s: float = 0.0
    """From the first row entering the flow to the last commit; models are loaded in it."""
    propagate_s: float = 0.0
    """Seconds in trackers, over all shots; shots that are tracked together spend the same ones."""
    max_concurrent_shots: int = 0
    """Slots of each tracker: `tracker.max_concurrent_shots`."""
    slot_utilization: float = 0.0
    """Share of the tracker's slots that a step advances, averaged over its steps."""
    statuses: dict[str, int] = field(default_factory=dict)
    """Videos by status."""
    verdicts: dict[str, int] = field(default_factory=dict)
    """Masklets by verdict."""
    failures: list[dict[str, str]] = field(default_factory=list)
    """uri, stage, kind and message of each."""
    version: int | None = None
    """Of the dataset, after the last commit."""

    def add_shot(self, shot_result: ShotResult) -> None:
        """Count a finished shot."""
        self.num_shots += 1
        self.num_frames += shot_result.num_frames
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
            before = self.num_frames - num_frames
            steps = (
                before / self.slot_utilization if before else 0
            ) + num_frames / slot_utilization
            self.slot_utilization = self.num_frames / steps

    @property
    def failure_fraction(self) -> float:
        """Share of the finished videos that failed."""
        return len(self.failures) / self.num_videos if self.num_videos else 0.0

    @property
    def frames_per_s(self) -> float:
        """Processed frames over the whole run's time."""
        return self.num_frames / self.wall_s if self.wall_s else 0.0
