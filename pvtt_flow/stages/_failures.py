"""The one place where an exception becomes a failure row."""

import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace

from pvtt_flow.errors import DataError, StoreError
from pvtt_flow.types import Failure, Stage, Work

Step = Callable[[Work], Sequence[Work]]


def guarded(stage: Stage, step: Step, work: Work) -> Sequence[Work]:
    """`step(work)`; work that has failed passes by, work that fails now comes back saying why."""
    if work.failure is not None:
        return [work]
    try:
        return step(work)
    except Exception as error:  # noqa: BLE001 (a bug in one video must not stop the others)
        return [failed(work, stage, error)]


def failed(work: Work, stage: Stage, error: Exception) -> Work:
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
    return replace(work, prompts=(), masklets=(), failure=failure)
