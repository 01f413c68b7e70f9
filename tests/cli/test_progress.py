"""Progress of a run: plain lines in a log, a bar in a terminal."""

import io
import logging

import pytest
from rich.console import Console

from pvtt_flow.cli.progress import progress_watcher
from pvtt_flow.pipeline.assemble import VideoAssembler
from pvtt_flow.pipeline.plan import Plan, Planned
from pvtt_flow.pipeline.summary import Summary
from pvtt_flow.stages.write import ShotResult
from tests.pipeline.shot_results import FAILED_SHOT, LINEAGE, SHOT


def watch(console: Console) -> None:
    """A run of two videos, of which the first one fails."""
    summary = Summary(run_id="run", num_planned=2, plan={})
    with progress_watcher(console) as watcher:
        watcher.planned(Plan(videos=(Planned(SHOT.source, "new"),) * 2, process=frozenset(["new"])))
        shot_results: tuple[ShotResult, ...] = (FAILED_SHOT, SHOT)
        for shot_result in shot_results:
            done = VideoAssembler(LINEAGE, max_attempts=1).add(shot_result, finished_at_ns=1)
            assert done is not None
            summary.add_shot(shot_result)
            summary.add_video(done[0])
            watcher.finished(done[0], summary)


def test_a_log_has_plain_lines(caplog: pytest.LogCaptureFixture) -> None:
    out = io.StringIO()
    with caplog.at_level(logging.INFO, "pvtt_flow"):
        watch(Console(file=out))
    assert [record.getMessage() for record in caplog.records] == [
        "plan: 2 new",
        "failed /mug.mp4: bad_prompt: it does not fit",
        "2 of 2 videos, 20 frames, 1 failed",
    ]
    assert out.getvalue() == ""


def test_a_terminal_has_a_bar(caplog: pytest.LogCaptureFixture) -> None:
    out = io.StringIO()
    watch(Console(file=out, force_terminal=True, width=120, color_system=None))
    assert "failed /mug.mp4: bad_prompt: it does not fit" in out.getvalue()
    last = next(line for line in reversed(out.getvalue().splitlines()) if "videos" in line)
    assert "2/2" in last
    assert "20 frames" in last
    assert not caplog.records


@pytest.mark.parametrize("is_terminal", [True, False])
def test_an_early_end_says_what_is_kept(
    caplog: pytest.LogCaptureFixture, *, is_terminal: bool
) -> None:
    summary = Summary(run_id="run", num_planned=5, plan={}, num_videos=3, num_committed=2)
    out = io.StringIO()
    with progress_watcher(Console(file=out, force_terminal=is_terminal, width=120)) as watcher:
        watcher.ended_early(summary)
    said = "ended early: 2 of 5 videos are committed; the same command goes on with the rest"
    assert said in (out.getvalue() if is_terminal else caplog.text)
