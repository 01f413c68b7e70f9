from collections.abc import Sequence
from dataclasses import replace

import pytest

from pvtt_flow.errors import DataError
from pvtt_flow.stages._failures import guarded
from pvtt_flow.types import ShotRecord
from tests.stages.fakes import FAILED, box_prompt

WORK = replace(FAILED, failure=None, prompts=(box_prompt(0, (1, 2, 3, 4)),), num_frames=5)


def test_results_of_the_step_pass_unchanged() -> None:
    assert guarded("judge", lambda record: [record, record], WORK) == [WORK, WORK]


def test_failed_shots_never_reach_the_step() -> None:
    def step(record: ShotRecord) -> Sequence[ShotRecord]:
        pytest.fail(f"called with {record}")

    assert guarded("judge", step, FAILED) == [FAILED]


@pytest.mark.parametrize(
    ("error", "kind", "message", "has_traceback"),
    [
        (DataError("over_limit", "too long"), "over_limit", "too long", False),
        (KeyError("boxes"), "internal", "KeyError: 'boxes'", True),
    ],
)
def test_an_exception_becomes_a_row(
    error: Exception, kind: str, message: str, *, has_traceback: bool
) -> None:
    def step(record: ShotRecord) -> Sequence[ShotRecord]:
        raise error

    (record,) = guarded("propagate", step, WORK)
    assert record.failure is not None
    assert (record.failure.stage, record.failure.kind) == ("propagate", kind)
    assert record.failure.message == message
    assert ("in step" in (record.failure.traceback or "")) == has_traceback
    assert (record.source, record.num_frames) == (WORK.source, 5)
    assert (record.prompts, record.masklets) == ((), ()), "half-made results go no further"
