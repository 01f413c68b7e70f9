"""The one place where an exception becomes a failure row."""

import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace

from pvtt_flow.errors import DataError, StoreError
from pvtt_flow.types import Failure, ShotRecord, Stage

Step = Callable[[ShotRecord], Sequence[ShotRecord]]


def guarded(stage: Stage, step: Step, record: ShotRecord) -> Sequence[ShotRecord]:
    """`step(work)`; work that has failed passes by, work that fails now comes back saying why."""
    if record.failure is not None:
        return [record]
    try:
        return step(record)
    except Exception as error:  # noqa: BLE001 (a bug in one video must not stop the others)
        return [failed(record, stage, error)]


def failed(record: ShotRecord, stage: Stage, error: Exception) -> ShotRecord:
    """The work with its failure; only the unexpected carries a traceback."""
    if isinstance(error, StoreError):
        failure = Failure(stage=stage, kind="store", message=str(error))
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
