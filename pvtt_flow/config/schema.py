"""The run's config: one tree of the params that stand next to their algorithms."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from pvtt_flow.core.appearance import MeasureParams
from pvtt_flow.core.cleaning import CleanParams
from pvtt_flow.core.ids import hash_of
from pvtt_flow.core.products import DetectParams
from pvtt_flow.core.qc import QcThresholds
from pvtt_flow.core.repair import REPAIR_PROMPTS, RepairParams
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
    """Pool of actors; each of them loads the model once."""

    actors: Annotated[int, Field(ge=1)] = 1
    """Number of actors."""
    num_cpus: Annotated[float, Field(ge=0)] = 1.0
    """CPUs that each actor reserves."""
    num_gpus: Annotated[float, Field(ge=0)] = 0.0
    """GPUs that each actor reserves; a fraction shares one GPU."""


class DetectPoolParams(PoolParams):
    """Pool of detector actors."""

    num_cpus: Annotated[float, Field(ge=0)] = 0.5
    """CPUs that each actor reserves."""
    batch_size: Annotated[int, Field(ge=1)] = 8
    """Number of shots per call of the detector."""


class ResourceParams(Params):
    """Resources that the stages reserve on the Ray cluster."""

    inspect_num_cpus: Annotated[float, Field(gt=0)] = 0.5
    """CPUs per inspection task, which decodes a whole video; 1 is best on a machine with many
    cores."""
    detect: DetectPoolParams = DetectPoolParams()
    """Pool of actors that detect products. A detector sees only a few frames per shot, so few
    actors suffice."""
    propagate: PoolParams = PoolParams()
    """Pool of actors that track products, the most expensive stage. Use one actor per GPU. On a
    CPU, an actor computes with as many threads as it reserves CPUs (rounded down, at least 1): for
    a long run, take an actor of one thread for each core, if memory holds as many models (on 2
    cores, `actors: 2` and `num_cpus: 0.5`). Each tracks `tracker.max_concurrent_shots` shots at
    once."""
    write_num_cpus: Annotated[float, Field(gt=0)] = 0.25
    """CPUs per task that computes verdicts or writes files."""


class RunParams(Params):
    """Behavior of a run. None of these keys changes results."""

    process: tuple[ProcessReason, ...] = ("new", "changed", "failed")
    """Videos that are processed: `new` (not in the dataset), `changed` (new content), `stale`
    (other settings, weights, prompts or shots), `failed` (failed before, with attempts left)."""
    max_attempts: Annotated[int, Field(ge=1)] = 3
    """Number of failed attempts after which a video is quarantined, until it changes or `pvtt-flow
    retry` releases it."""
    max_failure_fraction: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Largest fraction of failed videos; the run exits with code 1 above it, after processing all
    videos."""
    commit_interval_s: Annotated[float, Field(gt=0, le=86_400)] = 5.0
    """Time between two commits, in seconds. A killed run loses the results since its last
    commit."""
    checkpoint_every_s: Annotated[float, Field(ge=0, le=86_400)] | None = 300.0
    """Time between two saved states of a shot that is tracked, in seconds; null or 0: none is
    saved. An interrupted run goes on from the last one, with the same masks; a shot without one
    starts anew. At 1024 px a state has 11 to 15 MB per object, and the masks so far."""
    isolate_decoders: bool = True
    """Decode in separate processes, so that a crash or hang of FFmpeg fails only the video that
    caused it."""
    no_progress_timeout_s: Annotated[float, Field(gt=0)] = 6 * 3600.0
    """Time without a finished shot after which the run is aborted, in seconds. Must be longer than
    the slowest shot takes."""
    models: str | None = None
    """Folder or bucket of weights; null: the user's cache folder."""
    contact_sheet_videos: Annotated[int, Field(ge=0, le=64)] = 12
    """Number of videos on the contact sheet; 0: no contact sheet."""


class RunConfig(Params):
    """Configuration of a run."""

    version: Literal[1] = 1
    """Version of the config format."""
    input: InputParams
    """Videos to process."""
    shots: ShotParams = ShotParams()
    """Splitting of videos into shots. `shots` of a manifest row replace all of this for its
    video."""
    sampling: SamplingParams = SamplingParams()
    """Frames of a shot that are processed; by default all of them. Set at most one of the two
    keys."""
    limits: Limits = Limits()
    """Limits on one video. A video that exceeds one fails with kind `over_limit`."""
    detector: DetectorParams = DetectorParams()
    """The model that finds products."""
    detect: DetectParams = DetectParams()
    """Selection of products among the detector's boxes, and of the frame that is searched."""
    tracker: TrackerParams = TrackerParams()
    """The SAM 2 model that tracks products."""
    clean: CleanParams = CleanParams()
    """Cleaning of tracked masks, in the order of the keys; masks of mask prompts stay."""
    measure: MeasureParams = MeasureParams()
    """Measurements that take the pictures again, once a shot is tracked."""
    repair: RepairParams = RepairParams()
    """Repair of masks that are in doubt, by products that are seen there; needs
    `detect.recheck_every`."""
    qc: QcThresholds = QcThresholds()
    """Thresholds of the verdict, and of the reasons for another verdict than `accept`."""
    output: OutputParams
    """The dataset."""
    resources: ResourceParams = ResourceParams()
    """Resources that the stages reserve on the Ray cluster."""
    run: RunParams = RunParams()
    """Behavior of a run. None of these keys changes results."""

    @model_validator(mode="after")
    def _check_prompt_frame(self) -> Self:
        if self.detect.prompt_frame != "first" and self.tracker.direction != "both":
            raise ValueError(
                f"detect.prompt_frame must be first where tracker.direction is "
                f"{self.tracker.direction}, got {self.detect.prompt_frame}: objects would have no "
                f"masks on one side of their prompt; set tracker.direction to both"
            )
        return self

    @model_validator(mode="after")
    def _check_repair(self) -> Self:
        if self.repair.attempts and not self.detect.recheck_every:
            raise ValueError(
                f"detect.recheck_every must be at least 1 where repair.attempts is "
                f"{self.repair.attempts}, got 0: products are seen on the first frame alone; set "
                f"it to 5, for example"
            )
        if self.repair.attempts and self.tracker.max_prompted_frames < REPAIR_PROMPTS:
            raise ValueError(
                f"tracker.max_prompted_frames must be at least {REPAIR_PROMPTS} where "
                f"repair.attempts is {self.repair.attempts}, got "
                f"{self.tracker.max_prompted_frames}: a run is tracked again between two masks and "
                f"a box"
            )
        return self

    @model_validator(mode="after")
    def _check_detector_boxes(self) -> Self:
        if self.tracker.baseline.method == "detector_boxes" and not self.detect.recheck_every:
            raise ValueError(
                "detect.recheck_every must be at least 1 where tracker.baseline.method is "
                "detector_boxes, got 0; set it to 1 for the boxes of each frame"
            )
        tracks_again = self.repair.attempts or self.measure.backward
        if self.tracker.baseline.method == "detector_boxes" and tracks_again:
            raise ValueError(
                "repair.attempts must be 0 and measure.backward false where "
                "tracker.baseline.method is detector_boxes, which has no tracker"
            )
        return self

    @model_validator(mode="after")
    def _check_both_ways(self) -> Self:
        needs = {
            "measure.backward is true": self.measure.backward,
            "repair.attempts is not 0": self.repair.attempts,
        }
        for need, is_on in needs.items():
            if is_on and self.tracker.direction != "both":
                raise ValueError(
                    f"tracker.direction must be both where {need}, got "
                    f"{self.tracker.direction}; set one of them"
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
        tracker = self.tracker.model_dump(mode="json", include=self._hashed_tracker_keys())
        # Where the weights are changes nothing, and their hash is there.
        tracker.get("baseline", {}).pop("weights", None)
        return hash_of(
            {
                "results_version": RESULTS_VERSION,
                "shots": self.shots.model_dump(mode="json"),
                "sampling": self.sampling.model_dump(mode="json"),
                "detect": self._hashed_detect_keys(),
                "detector": {"image_size_px": self.detector.image_size_px},
                "tracker": tracker,
                **self._hashed_later_sections(),
            }
        )

    def _hashed_later_sections(self) -> dict[str, Any]:
        """Return the sections that were added later; none that has its defaults.

        Cleaning changes nothing by default. Results without an appearance, from before it was
        measured, stay up to date.
        """
        salient = self.measure.salient
        measure = self.measure.model_copy(update={"salient": type(salient)()})
        later = {"clean": self.clean, "measure": measure, "repair": self.repair}
        hashed = {
            name: section.model_dump(mode="json", exclude={"salient"})
            for name, section in later.items()
            if section != type(section)()
        }
        if salient.weights is not None:
            # Where the weights are changes nothing, and their hash is there.
            hashed["salient"] = salient.model_dump(mode="json", exclude={"weights"})
        return hashed

    def _hashed_tracker_keys(self) -> set[str]:
        """Return the keys of `tracker` that change masks; later ones unless they are defaults."""
        keys = {"direction", "fill_holes_px", "precision"}
        if self.tracker.memory != "sam2":
            keys |= {"memory"}
        if self.tracker.baseline.method is not None:
            keys |= {"baseline"}
        return keys

    def _hashed_detect_keys(self) -> dict[str, Any]:
        """Return the keys of `detect` that change masks."""
        keys = self.detect.model_dump(mode="json", exclude=self._ignored_detect_keys())
        if self.detect.phrases is not None:
            # Another version may have another list of products.
            keys["phrases"] = list(self.detect.product_phrases)
        return keys

    def _ignored_detect_keys(self) -> set[str]:
        """Return the keys of `detect` that have no effect.

        Keys that were added later are among them while they have their defaults: results from
        before they existed stay up to date.
        """
        ignored = set() if self.detect.add_products != "always" else {"add_products"}
        if self.detect.prompt_frame == "first":
            ignored |= {"prompt_frame", "num_candidates"}
        if self.detect.phrases is None:
            ignored |= {"phrases", "absorb"}
        if not self.detect.recheck_every:
            ignored |= {"recheck_every"}
        if not self.detect.examples:
            ignored |= {"examples"}
        return ignored
