"""Turn an exception in a stage into the failure row of its video."""

import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace

from pvtt_flow.errors import DataError, MachineError, StoreError
from pvtt_flow.models.device_errors import is_device_error
from pvtt_flow.types import Failure, ShotRecord, Stage

ProcessRecord = Callable[[ShotRecord], Sequence[ShotRecord]]


def guarded(stage: Stage, process: ProcessRecord, record: ShotRecord) -> Sequence[ShotRecord]:
    """Return `process(record)`, or the record with a failure when it raises.

    A record that has failed in an earlier stage is returned unchanged.
    """
    if record.failure is not None:
        return [record]
    try:
        return process(record)
    except Exception as error:  # noqa: BLE001 (a bug in one video must not stop the others)
        return [with_failure(record, stage, error)]


def is_machine_error(error: Exception) -> bool:
    """Return whether the fault is the machine's: no video is to blame."""
    return isinstance(error, MachineError) or is_device_error(error)


def with_failure(record: ShotRecord, stage: Stage, error: Exception) -> ShotRecord:
    """Return the record with its failure; only an unexpected error carries a traceback."""
    if isinstance(error, StoreError):
        failure = Failure(stage=stage, kind="store", message=str(error))
    elif is_machine_error(error):
        failure = Failure(stage=stage, kind="machine", message=str(error))
    elif isinstance(error, DataError):
        failure = Failure(stage=stage, kind=error.kind, message=str(error))
    else:
        failure = Failure(
            stage=stage,
            kind="internal",
            message=f"{type(error).__name__}: {error}",
            traceback="".join(traceback.format_exception(error)),
        )
    return replace(record, prompts=(), masklets=(), failure=failure)
