"""Thresholds by which the verdicts of a dataset were judged, by its history and its run records."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pvtt_flow.core.qc import QcThresholds
from pvtt_flow.dataset.history import Version, history
from pvtt_flow.pipeline.run_record import configs_of

# Reading the whole history of years would take longer than planning a run.
_MAX_VERSIONS = 1000


def thresholds_in_use(uri: str) -> list[QcThresholds]:
    """Return the thresholds of the stored verdicts, latest first, each once.

    Runs since the last `judge`, which judges all masklets, may have used several. Runs without a
    record are left out. Raises StoreError if the store cannot be read.
    """
    sources = list(_sources(history(uri, _MAX_VERSIONS)))
    configs = configs_of(uri, dict.fromkeys(s for s in sources if isinstance(s, str)))
    found = [configs.get(s, {}).get("qc") if isinstance(s, str) else s for s in sources]
    return list(dict.fromkeys(t for keys in found if (t := _parsed(keys)) is not None))


def _sources(versions: Sequence[Version]) -> Iterator[str | Mapping[str, Any]]:
    """Yield ids of the runs that judged rows, latest first, and at last the keys of a `judge`."""
    before = versions[0].version if versions else 0
    for version in versions:
        if version.version > before:
            continue
        if version.operation == "judge":
            yield version.notes.get("thresholds", {})
            return
        if version.operation == "run" and version.run_id is not None:
            yield version.run_id
        if version.operation == "restore":
            before = int(version.notes["restored_version"])


def _parsed(keys: object) -> QcThresholds | None:
    try:
        return QcThresholds.model_validate_json(json.dumps(keys))
    except ValueError:  # no record, or of a version with other thresholds
        return None


def differences(one: QcThresholds, other: QcThresholds) -> dict[str, Any]:
    """Return the keys of `one` that have another value in `other`."""
    others = other.model_dump()
    return {key: value for key, value in one.model_dump().items() if value != others[key]}
