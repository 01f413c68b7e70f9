"""Pace of past runs, by which a plan tells how long a run takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pvtt_flow.config.schema import RunConfig
from pvtt_flow.pipeline.run_record import latest_runs, records_of

_MAX_RUNS = 20
# Sections of the config that change how long a frame takes.
_SECTIONS = (
    "shots", "sampling", "detector", "detect", "tracker", "clean", "measure", "repair", "resources",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Frames per second of a whole run, loading of models included."""

    run_id: str
    frames_per_s: float


def past_pace(config: RunConfig) -> Pace | None:
    """Return the pace of the largest of the latest runs into this dataset with the same settings.

    The largest, since loading of models is least of it. A run on other machines has another pace:
    its record does not tell on which ones it was. None if there is no such run that ended well.
    """
    uri = config.output.uri
    settings = config.model_dump(mode="json")
    runs = [
        (int(record["summary"]["num_frames"]), run_id, float(record["frames_per_s"]))
        for run_id, record in records_of(uri, latest_runs(uri, _MAX_RUNS)).items()
        if _is_like(record, settings)
    ]
    if not runs:
        return None
    _, run_id, frames_per_s = max(runs)
    return Pace(run_id=run_id, frames_per_s=frames_per_s)


def _is_like(record: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
    known = record.get("config", {})
    are_equal = all(known.get(section) == settings[section] for section in _SECTIONS)
    return are_equal and record.get("status") == "ok" and record.get("frames_per_s", 0) > 0
