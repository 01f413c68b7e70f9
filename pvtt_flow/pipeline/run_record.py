"""Record of a run, `runs/<run_id>.json`: its settings, its counts, and how it ended."""

import json
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import partial
from typing import Any, Literal

from pvtt_flow.config.schema import RunConfig
from pvtt_flow.errors import PvttFlowError, StoreError
from pvtt_flow.pipeline.summary import Summary
from pvtt_flow.storage.files import read_bytes, write_bytes
from pvtt_flow.storage.filesystems import filesystem
from pvtt_flow.storage.retry import with_retries
from pvtt_flow.storage.uris import redact_uri

RunStatus = Literal["running", "ok", "failed", "stopped"]
"""`running` stays in the record of a run that was killed."""
# Threads mostly wait for the store.
_THREADS = 8


@contextmanager
def recorded(config: RunConfig, summary: Summary) -> Iterator[None]:
    """Write the record of the run inside at its start, and again at its end with its counts."""
    _write(config, summary, "running")
    try:
        yield
    except BaseException as error:
        reason = str(error) if isinstance(error, PvttFlowError) else type(error).__name__
        # The error that ended the run says more than that of the record.
        with suppress(StoreError):
            _write(config, summary, "failed" if isinstance(error, Exception) else "stopped", reason)
        raise
    _write(config, summary, "ok")


def record_uri(dataset_uri: str, run_id: str) -> str:
    """Return the uri of a run's record."""
    return f"{dataset_uri.rstrip('/')}/runs/{run_id}.json"


def latest_runs(dataset_uri: str, limit: int) -> list[str]:
    """Return the ids of the latest runs that have a record, oldest first."""
    files, folder = filesystem(f"{dataset_uri}/runs")
    try:
        paths = with_retries(partial(files.ls, folder, detail=False))
    except FileNotFoundError:
        return []
    names = sorted(str(path).rpartition("/")[2] for path in paths)
    return [name.removesuffix(".json") for name in names if name.endswith(".json")][-limit:]


def statuses_of(dataset_uri: str, run_ids: Iterable[str]) -> Mapping[str, str]:
    """Return how runs ended; those without a record, or with one that has no status, are left out.

    Raises StoreError if the store cannot be read.
    """
    records = records_of(dataset_uri, run_ids)
    return {run_id: str(r["status"]) for run_id, r in records.items() if "status" in r}


def configs_of(dataset_uri: str, run_ids: Iterable[str]) -> Mapping[str, Mapping[str, Any]]:
    """Return the configs of runs, as plain values; those without a record are left out.

    Raises StoreError if the store cannot be read.
    """
    records = records_of(dataset_uri, run_ids)
    return {run_id: r["config"] for run_id, r in records.items() if "config" in r}


def records_of(dataset_uri: str, run_ids: Iterable[str]) -> Mapping[str, Mapping[str, Any]]:
    """Return the records of runs; those without one, or with one that is damaged, are left out.

    Raises StoreError if the store cannot be read.
    """
    ids = list(run_ids)
    with ThreadPoolExecutor(_THREADS) as pool:
        files = pool.map(lambda run_id: read_bytes(record_uri(dataset_uri, run_id)), ids)
        records = {run_id: _parsed(data or b"") for run_id, data in zip(ids, files, strict=True)}
    return {run_id: record for run_id, record in records.items() if isinstance(record, dict)}


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return None


def _write(config: RunConfig, summary: Summary, status: RunStatus, error: str = "") -> None:
    input_params = config.input.model_copy(update={"uri": redact_uri(config.input.uri)})
    record = {
        "status": status,
        **({"error": error} if error else {}),
        "config": config.model_copy(update={"input": input_params}).model_dump(mode="json"),
        "summary": asdict(summary),
        "frames_per_s": summary.frames_per_s,
    }
    uri = record_uri(config.output.uri, summary.run_id)
    write_bytes(uri, json.dumps(record, indent=2).encode())
