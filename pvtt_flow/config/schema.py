"""The run's config: one tree of the params that stand next to their algorithms."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pvtt_flow.core.ids import hash_of
from pvtt_flow.core.prompts import DetectParams
from pvtt_flow.core.qc import QcThresholds
from pvtt_flow.core.shots import ShotParams
from pvtt_flow.core.timeline import SamplingParams
from pvtt_flow.models.detector import DetectorParams
from pvtt_flow.models.tracker import TrackerParams
from pvtt_flow.params import Params
from pvtt_flow.storage.params import InputParams, OutputParams
from pvtt_flow.video.limits import Limits

# Raised when the stored rows change their meaning, so that older results count as stale.
RESULTS_VERSION = 3
ProcessReason = Literal["new", "changed", "stale", "failed"]
"""Reason to process a video."""
PlanReason = ProcessReason | Literal["quarantined", "gone", "unchanged"]
"""Reason to process a video or to leave it out."""


class PoolParams(Params):
    """How many actors an operator has, and what each of them holds."""

    actors: Annotated[int, Field(ge=1)] = 1
    """Actors in the pool, each with a resident model."""
    num_cpus: Annotated[float, Field(ge=0)] = 1.0
    num_gpus: Annotated[float, Field(ge=0)] = 0.0


class DetectPoolParams(PoolParams):
    """A pool whose model sees one frame a shot, or a few, and is idle most of the time."""

    num_cpus: Annotated[float, Field(ge=0)] = 0.5
    batch_size: Annotated[int, Field(ge=1)] = 8
    """Shots a call."""


class ResourceParams(Params):
    """What the operators ask of the cluster."""

    inspect_num_cpus: Annotated[float, Field(gt=0)] = 0.5
    """An inspection decodes the whole video; a core is right for it where there are enough."""
    detect: DetectPoolParams = DetectPoolParams()
    propagate: PoolParams = PoolParams(num_cpus=1.0)
    """The run's real work: one actor a GPU; on a CPU one actor takes what cores there are. A call
    is one shot, and an actor has `tracker.max_concurrent_shots` of them at work at once."""
    write_num_cpus: Annotated[float, Field(gt=0)] = 0.25


class RunParams(Params):
    """How a run behaves; nothing here changes results."""

    process: tuple[ProcessReason, ...] = ("new", "changed", "failed")
    """Which videos to process: not in the dataset; with other content than then; with results of
    other settings or weights; failed, with attempts left."""
    max_attempts: Annotated[int, Field(ge=1)] = 3
    """Failed attempts after which a video is quarantined until it changes or someone retries it."""
    max_failure_fraction: Annotated[float, Field(ge=0, le=1)] = 0.5
    """The run exits non-zero when more than this share of its videos failed."""
    commit_interval_s: Annotated[float, Field(gt=0)] = 5.0
    """Finished videos are published together, this often: what a killed run may lose."""
    isolate_decoders: bool = True
    """Whether videos are decoded in processes of their own, so that one at which FFmpeg crashes or
    hangs costs itself alone."""
    no_progress_timeout_s: Annotated[float, Field(gt=0)] = 6 * 3600.0
    """Ray Data gives up after so long without a finished shot; longer than the longest shot takes
    among those that are tracked beside it."""
    models: str | None = None
    """Folder or bucket of weights; null is the user's cache folder."""
    contact_sheet_videos: Annotated[int, Field(ge=0, le=64)] = 12
    """Videos on the contact sheet; 0 makes none."""


class RunConfig(Params):
    """Everything that describes a run."""

    version: Literal[1] = 1
    input: InputParams
    shots: ShotParams = ShotParams()
    sampling: SamplingParams = SamplingParams()
    limits: Limits = Limits()
    detector: DetectorParams = DetectorParams()
    detect: DetectParams = DetectParams()
    tracker: TrackerParams = TrackerParams()
    qc: QcThresholds = QcThresholds()
    output: OutputParams
    resources: ResourceParams = ResourceParams()
    run: RunParams = RunParams()

    @model_validator(mode="after")
    def _check_prompt_frame(self) -> Self:
        if self.detect.prompt_frame != "first" and self.tracker.direction != "both":
            raise ValueError(
                f"detect.prompt_frame must be first where tracker.direction is "
                f"{self.tracker.direction}, got {self.detect.prompt_frame}: objects would have no "
                f"masks on one side of their prompt; set tracker.direction to both"
            )
        return self

    def processing(self, reason: ProcessReason) -> "RunConfig":
        """Return a copy that also processes videos for this reason."""
        process = tuple(dict.fromkeys((*self.run.process, reason)))
        run = self.run.model_copy(update={"process": process})
        return self.model_copy(update={"run": run})

    def results_hash(self) -> str:
        """Return a digest of the settings that change masks; weights have their own hashes.

        Verdict thresholds are left out: verdicts are recomputed from stored measurements. A
        renamed key is hashed under its old name, so that existing datasets stay up to date.
        """
        return hash_of(
            {
                "results_version": RESULTS_VERSION,
                "shots": self.shots.model_dump(mode="json"),
                "sampling": self.sampling.model_dump(mode="json"),
                "detect": self.detect.model_dump(mode="json", exclude=self._ignored_detect_keys()),
                "detector": {"image_size_px": self.detector.image_size_px},
                "tracker": self.tracker.model_dump(
                    mode="json", include={"direction", "fill_holes_px", "precision"}
                ),
            }
        )

    def _ignored_detect_keys(self) -> set[str]:
        """Return the keys of `detect` that have no effect while prompts are on first frames.

        `prompt_frame` itself is one of them: results from before it existed stay up to date.
        """
        first = self.detect.prompt_frame == "first"
        return {"prompt_frame", "num_candidates"} if first else set()
