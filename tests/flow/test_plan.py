from dataclasses import replace

import pytest
from flow.receipts import LINEAGE

from pvtt_flow.data import Lineage, Prompt, Source, Status
from pvtt_flow.flow.plan import Reason, make_plan, work_key
from pvtt_flow.storage.ledger import LedgerEntry

SOURCE = Source(video_id="mug", uri="/mug.mp4", etag="e", size_bytes=9)
KEY = work_key(SOURCE, LINEAGE)


def entry(status: Status = "ok", attempts: int = 0, **changes: object) -> LedgerEntry:
    known = LedgerEntry(
        video_id="mug", etag="e", size_bytes=9, status=status, attempts=attempts, work_key=KEY
    )
    return replace(known, **changes)


@pytest.mark.parametrize(
    ("known", "reason", "attempts"),
    [
        (None, "new", 0),
        (entry(), "unchanged", 0),
        (entry("empty"), "unchanged", 0),
        (entry(etag="other"), "changed", 0),
        (entry(size_bytes=8), "changed", 0),
        (entry(work_key="other"), "stale", 0),
        (entry("failed", 2), "failed", 2),
        (entry("failed", 3), "quarantined", 3),
        (entry("quarantined", 3), "quarantined", 3),
        # More attempts were granted since.
        (entry("quarantined", 2), "failed", 2),
        # What failed gets all its attempts again when it, or the run, has changed.
        (entry("quarantined", 3, etag="other"), "changed", 0),
        (entry("quarantined", 3, work_key="other"), "stale", 0),
    ],
)
def test_every_input_has_a_reason(known: LedgerEntry | None, reason: Reason, attempts: int) -> None:
    ledger = {} if known is None else {"mug": known}
    (planned,) = make_plan([SOURCE], ledger, LINEAGE, max_attempts=3).videos
    assert planned.reason == reason
    assert planned.source == replace(SOURCE, work_key=KEY, attempts=attempts)


def test_the_limit_counts_what_is_to_do() -> None:
    names = ("a", "b", "c", "d")
    sources = [replace(SOURCE, video_id=name, uri=f"/{name}.mp4") for name in names]
    ledger = {"b": entry(video_id="b")}
    plan = make_plan(sources, ledger, LINEAGE, max_attempts=3, limit=2)
    assert [source.video_id for source in plan.todo] == ["a", "c"]
    assert plan.counts == {
        "new": 2, "changed": 0, "stale": 0, "failed": 0, "quarantined": 0, "unchanged": 1,
    }  # fmt: skip
    assert make_plan(sources, ledger, LINEAGE, max_attempts=3, limit=0).todo == ()


@pytest.mark.parametrize(
    ("source", "lineage", "same"),
    [
        (replace(SOURCE, uri="/moved/mug.mp4"), LINEAGE, True),
        (replace(SOURCE, attempts=2), LINEAGE, True),
        (SOURCE, replace(LINEAGE, run_id="other"), True),
        (SOURCE, replace(LINEAGE, code_version="2"), True),
        (replace(SOURCE, etag="other"), LINEAGE, False),
        (replace(SOURCE, size_bytes=8), LINEAGE, False),
        (
            replace(SOURCE, prompts=(Prompt(object_id=0, frame_index=0, box_xyxy=(1, 2, 3, 4)),)),
            LINEAGE,
            False,
        ),
        (SOURCE, replace(LINEAGE, config_hash="other"), False),
        (SOURCE, replace(LINEAGE, detector_hash="other"), False),
        (SOURCE, replace(LINEAGE, tracker_hash="other"), False),
    ],
)
def test_what_the_work_key_depends_on(source: Source, lineage: Lineage, *, same: bool) -> None:
    assert (work_key(source, lineage) == KEY) == same
