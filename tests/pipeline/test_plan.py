from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from pvtt_flow.config.schema import PlanReason, ProcessReason, RunParams
from pvtt_flow.dataset.arrow import to_table
from pvtt_flow.dataset.ledger import Ledger, LedgerEntry
from pvtt_flow.dataset.tables import bucket_of
from pvtt_flow.pipeline.plan import Plan, make_plan, work_key
from pvtt_flow.types import Lineage, Prompt, Source, Status
from tests.pipeline.shot_results import LINEAGE

SOURCE = Source(video_id="mug", uri="/mug.mp4", etag="e", size_bytes=9)
KEY = work_key(SOURCE, LINEAGE)
PROCESS_REASONS: tuple[ProcessReason, ...] = ("new", "changed", "stale", "failed")


def entry(status: Status = "ok", attempts: int = 0, **changes: Any) -> LedgerEntry:
    known = LedgerEntry(
        video_id="mug",
        etag="e",
        size_bytes=9,
        status=status,
        attempts=attempts,
        input_uri="/",
        gone_at_ns=None,
        work_key=KEY,
        run_id="before",
        config_hash=LINEAGE.config_hash,
        detector_hash=LINEAGE.detector_hash,
        tracker_hash=LINEAGE.tracker_hash,
    )
    return replace(known, **changes)


def plan_of(
    sources: Sequence[Source],
    *known: LedgerEntry,
    process: tuple[ProcessReason, ...] = ("new", "changed", "failed"),
    limit: int | None = None,
    touched: tuple[str, ...] = (),
) -> Plan:
    ledger = Ledger(to_table(LedgerEntry, known))
    params = RunParams(max_attempts=3, process=process)
    return make_plan(
        sources, ledger, LINEAGE, input_uri="/", params=params, limit=limit, touched=touched
    )


@pytest.mark.parametrize(
    ("known", "reason", "attempts", "detail"),
    [
        (None, "new", 0, ""),
        (entry(), "unchanged", 0, ""),
        (entry("empty"), "unchanged", 0, ""),
        (entry(etag="other"), "changed", 0, ""),
        (entry(size_bytes=8), "changed", 0, ""),
        (entry(work_key="other"), "stale", 0, "other prompts or shots"),
        (entry(work_key="other", config_hash="other"), "stale", 0, "other settings"),
        (entry(work_key="other", tracker_hash="other"), "stale", 0, "other tracker weights"),
        (
            entry(work_key="other", config_hash="other", detector_hash="other"),
            "stale",
            0,
            "other settings and detector weights",
        ),
        (entry("failed", 2), "failed", 2, "2 of 3 attempts"),
        (entry("failed", 3), "quarantined", 3, "3 of 3 attempts"),
        (entry("quarantined", 3), "quarantined", 3, "3 of 3 attempts"),
        # More attempts were granted since.
        (entry("quarantined", 2), "failed", 2, "2 of 3 attempts"),
        # What failed gets all its attempts again when it, or the run, has changed.
        (entry("quarantined", 3, etag="other"), "changed", 0, ""),
        (entry("quarantined", 3, work_key="other"), "failed", 0, "other prompts or shots"),
    ],
)
def test_every_input_has_a_reason(
    known: LedgerEntry | None, reason: PlanReason, attempts: int, detail: str
) -> None:
    plan = plan_of([SOURCE], *([] if known is None else [known]))
    (planned,) = plan.videos
    assert (planned.reason, planned.detail) == (reason, detail)
    assert plan.counts[reason] == sum(plan.counts.values()) == 1
    if reason in PROCESS_REASONS:
        seen = None if known is None else "before"
        to_process = replace(SOURCE, work_key=KEY, attempts=attempts, expected_run_id=seen)
        assert planned.source == to_process
        assert plan_of([SOURCE], *filter(None, [known]), process=("stale", reason)).to_process == (
            to_process,
        )
    assert bool(plan.to_process) == (reason in ("new", "changed", "failed"))


def test_the_limit_counts_videos_to_process() -> None:
    names = ("a", "b", "c", "d")
    sources = [replace(SOURCE, video_id=name, uri=f"/{name}.mp4") for name in names]
    known = entry(video_id="b")
    plan = plan_of(sources, known, limit=2)
    assert [source.video_id for source in plan.to_process] == ["a", "c"]
    assert {reason: n for reason, n in plan.counts.items() if n} == {"new": 2, "unchanged": 1}
    assert list(plan.counts) == [
        "new", "changed", "stale", "failed", "quarantined", "gone", "unchanged",
    ]  # fmt: skip
    assert plan_of(sources, known, limit=0).to_process == ()


def test_replaced_videos_come_last_in_the_order_of_the_files() -> None:
    names = [f"v{number}" for number in range(40)]
    sources = [replace(SOURCE, video_id=name, etag="changed") for name in names]
    known = [entry(video_id=name) for name in names if name not in ("v7", "v3")]
    to_process = [source.video_id for source in plan_of(sources, *known).to_process]
    assert to_process[:2] == ["v3", "v7"]
    buckets = [bucket_of(name) for name in to_process[2:]]
    assert len(set(buckets)) > 1
    assert buckets == sorted(buckets)
    first = [name for name in to_process[2:] if bucket_of(name) == buckets[0]]
    assert first == sorted(first)


def test_gone_and_returned_videos_of_this_input() -> None:
    known = (
        entry(video_id="left"),
        entry(video_id="left-long-ago", gone_at_ns=5),
        entry(video_id="elsewhere", input_uri="/other"),
        entry(gone_at_ns=7),
    )
    plan = plan_of([SOURCE], *known)
    assert plan.counts["gone"] == 2
    assert plan.newly_gone == ("left",)
    assert plan.returned == ("mug",)
    assert plan.to_process == (), "it came back as it was"


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
        (replace(SOURCE, shots=((0, 5),)), LINEAGE, False),
        (replace(SOURCE, add_products="never"), LINEAGE, False),
        (SOURCE, replace(LINEAGE, config_hash="other"), False),
        (SOURCE, replace(LINEAGE, detector_hash="other"), False),
        (SOURCE, replace(LINEAGE, tracker_hash="other"), False),
    ],
)
def test_the_work_key_depends_on_content_settings_and_weights(
    source: Source, lineage: Lineage, *, same: bool
) -> None:
    assert (work_key(source, lineage) == KEY) == same


TOUCHED = replace(SOURCE, etag="touched")


@pytest.mark.parametrize(
    ("known", "reason", "detail"),
    [
        (entry(content_hash="h"), "unchanged", "touched or copied"),
        (entry(content_hash="h", work_key="other"), "stale", "other prompts or shots"),
        (entry("quarantined", 3, content_hash="h"), "quarantined", "3 of 3 attempts"),
    ],
)
def test_a_touched_video_keeps_its_results_and_gets_its_new_etag(
    known: LedgerEntry, reason: PlanReason, detail: str
) -> None:
    plan = plan_of([TOUCHED], known, touched=("mug",))
    assert [(v.reason, v.detail) for v in plan.videos] == [(reason, detail)]
    assert plan.renewed == (replace(TOUCHED, expected_run_id="before"),)
    # And then the plan needs no hash.
    renewed = replace(known, etag="touched", processed_etag="e")
    plan = plan_of([TOUCHED], renewed)
    assert (plan.videos[0].reason, plan.renewed) == (reason, ())
    assert plan_of([SOURCE], renewed).videos[0].reason == "changed"


def test_a_touched_video_that_is_processed_gets_the_key_of_its_new_etag() -> None:
    known = entry(work_key="other", content_hash="h")
    plan = plan_of([TOUCHED], known, touched=("mug",), process=("stale",))
    assert [source.work_key for source in plan.to_process] == [work_key(TOUCHED, LINEAGE)]
    assert plan.renewed == ()


def test_other_attributes_change_the_row_and_no_results() -> None:
    known = entry(attributes={"sku": "1"})
    same, other = (replace(SOURCE, attributes={"sku": sku}) for sku in "12")
    assert work_key(other, LINEAGE) == KEY
    plan = plan_of([other], known)
    assert [v.reason for v in plan.videos] == ["unchanged"]
    assert [source.attributes for source in plan.renewed] == [{"sku": "2"}]
    for listed in (SOURCE, same):
        assert plan_of([listed], known).renewed == (), "an input without own columns keeps them"
    changed = plan_of([replace(SOURCE, etag="n")], known).to_process
    assert [source.attributes for source in changed] == [{"sku": "1"}]
