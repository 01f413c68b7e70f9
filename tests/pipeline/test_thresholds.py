"""Thresholds of stored verdicts, as `judge` and the next run find them."""

from pathlib import Path
from typing import Any

import pytest

from pvtt_flow.cli.thresholds import threshold_notice
from pvtt_flow.config.loading import parse
from pvtt_flow.config.schema import RunConfig
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.history import history, restore
from pvtt_flow.pipeline.run_record import recorded
from pvtt_flow.pipeline.summary import Summary
from pvtt_flow.pipeline.thresholds import thresholds_in_use
from tests.cli.terminal import pvtt_flow
from tests.dataset.datasets import new_dataset, publish_videos


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return new_dataset(tmp_path)


def config(dataset: Dataset, **qc: Any) -> RunConfig:
    return parse({"input": {"uri": "/videos"}, "output": {"uri": dataset.uri}, "qc": qc})


def run(dataset: Dataset, run_id: str, **qc: Any) -> None:
    summary = Summary(run_id=run_id, num_planned=1, plan={})
    with recorded(config(dataset, **qc), summary):
        publish_videos(dataset, [f"video-{run_id}"], run_id=run_id)


def in_use(dataset: Dataset) -> list[dict[str, Any]]:
    return [t.model_dump(exclude_defaults=True) for t in thresholds_in_use(dataset.uri)]


def test_judge_starts_from_the_thresholds_of_the_last_verdicts(dataset: Dataset) -> None:
    run(dataset, "r1", area_max=1.0)
    shown = pvtt_flow("judge", dataset.uri, "--set", "qc.accept_probability=0.95")
    said = "thresholds: qc.accept_probability=0.95, qc.area_max=1.0\n"
    assert (shown.code, said in shown.out) == (0, True)
    shown = pvtt_flow("judge", dataset.uri, "--set", "qc.accept_probability=0.9")
    assert "thresholds: qc.area_max=1.0\n" in shown.out
    assert in_use(dataset) == [{"area_max": 1.0}]
    shown = pvtt_flow("judge", dataset.uri, "--set", "qc.area_max=0.8")
    assert "thresholds: the defaults\n" in shown.out


def test_judge_keeps_thresholds_that_change_no_verdict(dataset: Dataset) -> None:
    run(dataset, "r1")
    pvtt_flow("judge", dataset.uri)
    before = history(dataset.uri)[0].version
    pvtt_flow("judge", dataset.uri, "--set", "qc.fragments_max=9.0")
    assert in_use(dataset) == [{"fragments_max": 9.0}]
    pvtt_flow("judge", dataset.uri)
    assert history(dataset.uri)[0].version == before + 1, "the second changes nothing"


def test_runs_since_the_last_judge(dataset: Dataset) -> None:
    assert in_use(dataset) == []
    run(dataset, "r1", accept_probability=0.5)
    run(dataset, "r2")
    run(dataset, "r3", accept_probability=0.5)
    assert in_use(dataset) == [{"accept_probability": 0.5}, {}]
    publish_videos(dataset, ["b"], run_id="r4")
    assert in_use(dataset) == [{"accept_probability": 0.5}, {}], "a run without a record"
    pvtt_flow("judge", dataset.uri, "--set", "qc.accept_probability=0.6")
    run(dataset, "r5")
    assert in_use(dataset) == [{}, {"accept_probability": 0.6}]
    restore(dataset.uri, 1)
    assert in_use(dataset) == [{"accept_probability": 0.5}]


def test_a_run_says_how_verdicts_become_equal(dataset: Dataset) -> None:
    assert threshold_notice(config(dataset, accept_probability=0.5)) is None
    run(dataset, "r1", accept_probability=0.5, area_max=1.0)
    same = config(dataset, accept_probability=0.5, area_max=1.0)
    assert threshold_notice(same) is None
    notice = threshold_notice(config(dataset, area_max=0.7))
    assert notice is not None
    command = f"judge {dataset.uri} --set qc.accept_probability=0.9 --set qc.area_max=0.7"
    assert notice == (
        "verdicts in the dataset were judged by other thresholds; make them equal with "
        f"pvtt-flow {command}"
    )
    assert pvtt_flow(*command.split()).code == 0
    assert threshold_notice(config(dataset, area_max=0.7)) is None


def test_a_list_is_shown_as_set_takes_it(dataset: Dataset) -> None:
    run(dataset, "r1")
    notice = threshold_notice(config(dataset, always_review=["flickers", "area_jump"]))
    assert notice is not None
    command = notice.partition("pvtt-flow ")[2]
    assert command.endswith("--set qc.always_review=[flickers,area_jump]")
    assert pvtt_flow(*command.split()).code == 0
    assert in_use(dataset) == [{"always_review": ("flickers", "area_jump")}]


def test_thresholds_of_another_version_are_left_out(dataset: Dataset) -> None:
    run(dataset, "r1")
    record = Path(dataset.uri, "runs", "r1.json")
    record.write_text(record.read_text().replace("accept_probability", "unheard_of"))
    assert thresholds_in_use(dataset.uri) == []
