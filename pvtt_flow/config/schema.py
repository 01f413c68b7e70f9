"""The run's config: a tree of the params that live beside their algorithms, and how it is read.

One YAML file for all ways to run, with `--set a.b=c` on top. Every error names the path of the
bad value: `$.detect.min_score must be in [0, 1], got 1.5`.
"""

import difflib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from pvtt_flow.core.ids import hash_of
from pvtt_flow.core.prompts import DetectParams
from pvtt_flow.core.qc import QcThresholds
from pvtt_flow.core.shots import ShotParams
from pvtt_flow.core.timeline import SamplingParams
from pvtt_flow.errors import ConfigError
from pvtt_flow.models.detector import DetectorParams
from pvtt_flow.models.tracker import TrackerParams
from pvtt_flow.params import Params
from pvtt_flow.storage.params import InputParams, OutputParams
from pvtt_flow.video.limits import Limits

# Raised when the stored rows change their meaning, so that older results count as stale.
RESULTS_VERSION = 3
ProcessReason = Literal["new", "changed", "stale", "failed"]
"""Why a video is processed."""
PlanReason = ProcessReason | Literal["quarantined", "gone", "unchanged"]
"""Why it is, or is not."""


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
    def _followed_both_ways(self) -> Self:
        if self.detect.prompt_frame != "first" and self.tracker.direction != "both":
            raise ValueError(
                f"detect.prompt_frame must be first where tracker.direction is "
                f"{self.tracker.direction}, got {self.detect.prompt_frame}: objects would have no "
                f"masks on one side of their prompt; set tracker.direction to both"
            )
        return self

    def processing(self, reason: ProcessReason) -> "RunConfig":
        """The same config, with one more reason to process a video."""
        process = tuple(dict.fromkeys((*self.run.process, reason)))
        run = self.run.model_copy(update={"process": process})
        return self.model_copy(update={"run": run})

    def results_hash(self) -> str:
        """Digest of the settings that change results; weights have their own hashes.

        Thresholds of the verdict are not among them: verdicts are recomputed from measurements.
        """
        return hash_of(
            {
                "results_version": RESULTS_VERSION,
                "shots": self.shots.model_dump(mode="json"),
                "sampling": self.sampling.model_dump(mode="json"),
                "detect": self.detect.model_dump(mode="json", exclude=self._unused()),
                "detector": {"image_size_px": self.detector.image_size_px},
                "tracker": self.tracker.model_dump(
                    mode="json", include={"direction", "fill_holes_px", "precision"}
                ),
            }
        )

    def _unused(self) -> set[str]:
        """Settings of `detect` that change nothing while a shot is looked at on its first frame.

        The choice itself is among them, so that results from before there was one stay fresh.
        """
        first = self.detect.prompt_frame == "first"
        return {"prompt_frame", "num_candidates"} if first else set()


def load(path: Path, overrides: Sequence[str] = ()) -> RunConfig:
    """The config of a YAML file with `a.b=c` overrides applied; raises ConfigError."""
    try:
        tree = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise ConfigError(f"config file not found: {path}") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} must be a YAML file: {error}") from error
    if not isinstance(tree, dict):
        raise ConfigError(f"{path} must hold a mapping of sections, got {type(tree).__name__}")
    for override in overrides:
        _apply(tree, override)
    return parse(tree)


def parse(tree: Mapping[str, Any]) -> RunConfig:
    """The config of a tree of plain values; raises ConfigError naming every bad value's path."""
    try:
        # Through JSON, so that strictness forbids "1.5" for a number but takes a list as a tuple.
        return RunConfig.model_validate_json(json.dumps(tree, default=str))
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(e) for e in error.errors())) from None


def thresholds_of(overrides: Sequence[str]) -> QcThresholds:
    """The default thresholds with `qc.a=b` overrides applied; raises ConfigError."""
    tree: dict[str, Any] = {}
    for override in overrides:
        _apply(tree, override)
    if others := sorted(tree.keys() - {"qc"}):
        raise ConfigError(f"--set must be qc.KEY=VALUE here, got {', '.join(others)}")
    try:
        return QcThresholds.model_validate_json(json.dumps(tree.get("qc", {}), default=str))
    except ValidationError as error:
        explained = [_explain({**e, "loc": ("qc", *e["loc"])}) for e in error.errors()]
        raise ConfigError("\n".join(explained)) from None


def dump(config: RunConfig) -> str:
    """The whole config as YAML that `load` reads."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


def _apply(tree: dict[str, Any], override: str) -> None:
    """Set one value in place; the value is YAML, so `[a, b]`, `null` and `0.5` mean themselves."""
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set must be KEY.PATH=VALUE, got {override!r}")
    *parents, last = key.removeprefix("$.").split(".")
    node = tree
    for parent in parents:
        child = node.setdefault(parent, {})
        if not isinstance(child, dict):
            raise ConfigError(f"--set {override}: $.{parent} must be a section to set a key in")
        node = child
    try:
        node[last] = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigError(f"--set {key} must have a YAML value, got {text!r}") from None


def _explain(error: ErrorDetails) -> str:
    path = "$" + "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"{path} is not a known key{_suggestion(error['loc'])}"
    if error["type"] == "missing":
        return f"{path} must be given"
    if error["type"] == "value_error":
        # Ours, from a validator: it says all there is to say about the value or its keys.
        message = error["msg"].removeprefix("Value error, ")
        return f"{path} {message}" if message.startswith("must ") else f"{path}: {message}"
    return f"{path} must {_rule(error)}, got {json.dumps(error['input'], default=str)}"


def _rule(error: ErrorDetails) -> str:
    bounds = _bounds(error["loc"])
    if error["type"].startswith(("greater_than", "less_than", "finite")) and bounds:
        return f"be in {bounds}"
    return error["msg"].removeprefix("Input should ").removeprefix("String should ")


def _bounds(loc: tuple[int | str, ...]) -> str | None:
    """The interval that a number must lie in, from the schema."""
    node: Any = schema_at(loc)
    low = node.get("minimum", node.get("exclusiveMinimum"))
    high = node.get("maximum", node.get("exclusiveMaximum"))
    left = "(" if low is None or "exclusiveMinimum" in node else "["
    right = ")" if high is None or "exclusiveMaximum" in node else "]"
    if low is None and high is None:
        return None
    return f"{left}{'-inf' if low is None else low}, {'inf' if high is None else high}{right}"


def _suggestion(loc: tuple[int | str, ...]) -> str:
    known = list(schema_at(loc[:-1]).get("properties", {}))
    close = difflib.get_close_matches(str(loc[-1]), known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; known keys: {', '.join(known)}"


def schema_at(loc: tuple[int | str, ...]) -> dict[str, Any]:
    """The JSON schema of the value at a path; empty when there is none."""
    root = RunConfig.model_json_schema()
    node: dict[str, Any] = root
    for part in loc:
        node = node.get("items", {}) if isinstance(part, int) else _property(node, str(part))
        node = _resolved(node, root)
    return node


def _property(node: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = node.get("properties", {}).get(name, {})
    return found


def _resolved(node: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    """Follows a `$ref`, and takes the real alternative of an optional value."""
    for option in node.get("anyOf", []):
        if option.get("type") != "null":
            return _resolved(option, root)
    if "$ref" in node:
        target: dict[str, Any] = root["$defs"][node["$ref"].rsplit("/", 1)[-1]]
        return target
    return node
