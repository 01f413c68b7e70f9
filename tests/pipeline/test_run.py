"""The driver's side of a run: receipts in, commits out, whatever becomes of the workers."""

import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

import pytest

from pvtt_flow import open_dataset
from pvtt_flow.config.loading import load, parse
from pvtt_flow.config.schema import RunConfig
from pvtt_flow.dataset import transactions
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.ledger import empty_ledger
from pvtt_flow.errors import ClusterError, StoreError
from pvtt_flow.pipeline import pipeline, process
from pvtt_flow.pipeline.call_journal import CallJournal, Machine, SickMachine
from pvtt_flow.pipeline.gcs_watch import GcsWatch
from pvtt_flow.pipeline.plan import Plan, make_plan
from pvtt_flow.pipeline.ray_session import Cluster, Node
from pvtt_flow.pipeline.run import Prepared, execute, prepare
from pvtt_flow.pipeline.summary import Summary
from pvtt_flow.stages.write import ShotResult, Write
from pvtt_flow.types import Failure, ShotRecord, Source, VideoRecord
from tests.dataset.clocks import clock
from tests.dataset.dataset_rows import masklet, video_record
from tests.pipeline.shot_results import LINEAGE

SOURCES = [
    Source(video_id=name, uri=f"/{name}.mp4", etag="e", size_bytes=9) for name in ("a", "b", "c")
]
FAILURE = Failure(stage="inspect", kind="not_a_video", message="it is text")


class Recorder:
    """A watcher that remembers what it was shown."""

    def __init__(self) -> None:
        self.to_process: list[str] = []
        self.seen: list[tuple[str, int]] = []
        self.committed_early: list[int] = []

    def planned(self, plan: Plan) -> None:
        self.to_process = [source.video_id for source in plan.to_process]

    def finished(self, record: VideoRecord, summary: Summary) -> None:
        self.seen.append((record.video_id, summary.num_videos))

    def ended_early(self, summary: Summary) -> None:
        self.committed_early.append(summary.num_committed)


class Gcs:
    """Ray's control service as the driver sees it."""

    def answers(self) -> bool:
        return True

    def is_reachable(self) -> bool:
        return True


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset(str(tmp_path / "dataset"))


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """In place of Ray: the batches of receipts that come, or the exception that does."""
    batches: list[object] = []

    @contextmanager
    def connect_to_ray() -> Iterator[Cluster]:
        yield Cluster((Node("n", num_cpus=8, num_gpus=0),))

    def shot_results(_: object) -> Iterator[object]:
        for batch in batches:
            if isinstance(batch, Exception):
                raise batch
            yield batch
            time.sleep(0.02)

    monkeypatch.setattr(process, "connect_to_ray", connect_to_ray)
    monkeypatch.setattr(process, "RemoteJournal", lambda: CallJournal(set))
    monkeypatch.setattr(process, "watch_gcs", Gcs)
    monkeypatch.setattr(pipeline, "build", lambda *_, **__: None)
    monkeypatch.setattr(process, "_shot_results", shot_results)
    return batches


def prepared(
    dataset: Dataset,
    sources: Iterable[Source] = SOURCES,
    *,
    commit_interval_s: float = 60,
    **sections: object,
) -> Prepared:
    config: RunConfig = parse(
        {
            "input": {"uri": "in"},
            "output": {"uri": dataset.uri},
            "run": {"commit_interval_s": commit_interval_s},
            **sections,
        }
    )
    plan = make_plan(
        list(sources),
        dataset.ledger() if dataset.exists() else empty_ledger(),
        LINEAGE,
        input_uri="/",
        params=config.run,
    )
    return Prepared(config=config, lineage=LINEAGE, plan=plan)


def shot_result(dataset: Dataset, source: Source, *, failure: Failure | None = None) -> ShotResult:
    dataset.ensure()
    masklets = () if failure else (masklet(source.video_id),)
    record = ShotRecord(source=source, masklets=masklets, failure=failure)
    return Write(dataset, LINEAGE)([record])[0]


def statuses(dataset: Dataset) -> dict[str, str]:
    return {
        row["video_id"]: row["status"]
        for row in open_dataset(dataset.uri).videos().to_table().to_pylist()
    }


def test_arriving_videos_are_committed_and_shown(dataset: Dataset, workers: list[object]) -> None:
    ready = prepared(dataset)
    a, b, c = ready.plan.to_process
    workers += [
        [shot_result(dataset, b), shot_result(dataset, a, failure=FAILURE)],
        [shot_result(dataset, c)],
    ]
    watcher = Recorder()
    summary = execute(ready, watcher)
    assert watcher.to_process == ["a", "b", "c"]
    assert watcher.seen == [("b", 1), ("a", 2), ("c", 3)]
    assert statuses(dataset) == {"a": "failed", "b": "ok", "c": "ok"}
    assert sorted(open_dataset(dataset.uri).masklets().to_table()["video_id"].to_pylist()) == [
        "b",
        "c",
    ]
    assert summary.plan["new"] == summary.num_planned == summary.num_videos == 3
    assert summary.version == 1, "one commit"
    assert prepared(dataset).plan.counts["failed"] == 1


def test_a_short_interval_commits_as_videos_finish(dataset: Dataset, workers: list[object]) -> None:
    # Over whenever one looks, however late a busy machine lets the next video come.
    ready = prepared(dataset, commit_interval_s=1e-9)
    workers += [[shot_result(dataset, source)] for source in ready.plan.to_process]
    assert execute(ready, Recorder()).version == 3


def test_a_sick_machine_is_left_out_and_the_rest_is_done_without_it(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    batches: list[list[list[ShotResult]]] = []
    rounds: list[tuple[list[str], list[str], int]] = []

    @contextmanager
    def connect_to_ray() -> Iterator[Cluster]:
        yield Cluster(tuple(Node(name, num_cpus=4, num_gpus=1) for name in ("well", "sick")))

    def build(
        sources: list[Source], config: RunConfig, *_: object, left_out: Iterable[str]
    ) -> list[list[ShotResult]]:
        ids = [source.video_id for source in sources]
        rounds.append((ids, list(left_out), config.resources.propagate.actors))
        return batches[len(rounds) - 1]

    class Journal(CallJournal):
        def sick_machines(self) -> list[SickMachine]:
            return [SickMachine(Machine("sick", "10.0.0.2"), "its device failed")][
                len(rounds) - 1 :
            ]

    monkeypatch.setattr(process, "connect_to_ray", connect_to_ray)
    monkeypatch.setattr(process, "RemoteJournal", lambda: Journal(set))
    monkeypatch.setattr(process, "watch_gcs", Gcs)
    monkeypatch.setattr(process, "_CHECK_INTERVAL_S", 0.01)
    monkeypatch.setattr(process, "_shot_results", iter)
    monkeypatch.setattr(pipeline, "build", build)
    ready = prepared(dataset, resources={"propagate": {"actors": 2, "num_gpus": 1.0}})
    a, b, c = ready.plan.to_process
    on_sick = Failure(stage="propagate", kind="internal", message="it broke", node_id="sick")
    batches.append([[shot_result(dataset, a), shot_result(dataset, b, failure=on_sick)]])
    batches.append([[shot_result(dataset, b), shot_result(dataset, c)]])
    execute(ready, Recorder())
    assert rounds == [(["a", "b", "c"], [], 2), (["b", "c"], ["sick"], 1)]
    assert statuses(dataset) == {"a": "ok", "b": "ok", "c": "ok"}
    assert "machine 10.0.0.2 is left out from now on: its device failed" in caplog.text


def test_a_run_that_breaks_off_keeps_finished_videos(
    dataset: Dataset, workers: list[object]
) -> None:
    ready = prepared(dataset)
    a, b, _ = ready.plan.to_process
    half = replace(shot_result(dataset, b), num_shots=2)
    workers += [[shot_result(dataset, a), half], RuntimeError("the cluster is gone")]
    watcher = Recorder()
    with pytest.raises(RuntimeError, match="the cluster is gone"):
        execute(ready, watcher)
    assert watcher.committed_early == [1]
    assert statuses(dataset) == {"a": "ok"}, "a video of which shots are missing is not committed"
    counts = prepared(dataset).plan.counts
    assert {reason: n for reason, n in counts.items() if n} == {"new": 2, "unchanged": 1}


def test_without_its_control_service_ray_is_not_asked_and_the_run_ends(
    dataset: Dataset, workers: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        gcs = GcsWatch(address, patience_s=0.05)
        assert gcs.answers()

    def hangs(_: object) -> NoReturn:
        raise AssertionError("its journal is gone")

    monkeypatch.setattr(process, "watch_gcs", lambda: gcs)
    monkeypatch.setattr(process, "_CHECK_INTERVAL_S", 0.01)
    monkeypatch.setattr(CallJournal, "sick_machines", hangs)
    ready = prepared(dataset)
    workers += [[shot_result(dataset, ready.plan.to_process[0])], *([[]] * 100)]
    with pytest.raises(ClusterError) as raised:
        execute(ready, Recorder())
    assert f"Ray's control service (gcs_server at {address}) must run" in str(raised.value)
    assert "Committed results are kept; the same command processes the rest." in str(raised.value)
    assert statuses(dataset) == {"a": "ok"}


def test_a_store_that_fails_stops_the_run_and_blames_no_video(
    dataset: Dataset, workers: list[object]
) -> None:
    ready = prepared(dataset)
    a, b, c = ready.plan.to_process
    full = Failure(stage="write", kind="store", message="$.output.uri: the disk is full")
    workers += [
        [shot_result(dataset, a), shot_result(dataset, b, failure=full), shot_result(dataset, c)]
    ]
    with pytest.raises(StoreError, match="the disk is full"):
        execute(ready, Recorder())
    assert statuses(dataset) == {"a": "ok"}
    assert prepared(dataset).plan.counts["new"] == 2


def test_results_that_another_run_finished_first_stay(
    dataset: Dataset, workers: list[object], caplog: pytest.LogCaptureFixture
) -> None:
    ready = prepared(dataset)
    a, b, c = ready.plan.to_process
    workers += [[shot_result(dataset, a), shot_result(dataset, b), shot_result(dataset, c)]]
    dataset.commit(
        dataset.write_masklets([masklet("b")]), [video_record("b", run_id="other")], run_id="o"
    )
    with caplog.at_level("WARNING"):
        summary = execute(ready, Recorder())
    assert (summary.num_videos, summary.num_superseded) == (3, 1)
    assert "another run writes to" in caplog.text
    assert "finished 1 of these videos first, and its results stay (b)" in caplog.text
    runs = {
        row["video_id"]: row["run_id"]
        for row in open_dataset(dataset.uri).videos().to_table().to_pylist()
    }
    assert runs == {"a": LINEAGE.run_id, "b": "other", "c": LINEAGE.run_id}
    assert open_dataset(dataset.uri).masklets().count_rows() == 3


def test_gone_videos_are_marked_and_unmarked_when_they_return(
    dataset: Dataset, workers: list[object]
) -> None:
    ready = prepared(dataset, [replace(source, input_uri="/") for source in SOURCES])
    workers += [[shot_result(dataset, source) for source in ready.plan.to_process]]
    execute(ready, Recorder())
    workers[:] = []
    execute(prepared(dataset, SOURCES[:2]), Recorder())
    assert gone(dataset) == {"c"}
    assert open_dataset(dataset.uri).masklets().count_rows() == 2
    everything = open_dataset(dataset.uri, include_gone=True)
    assert everything.masklets().count_rows() == 3, "nothing is deleted"
    assert prepared(dataset, SOURCES[:2]).plan.counts["gone"] == 1
    back = prepared(dataset)
    assert back.plan.to_process == (), "a video that is back is not processed again"
    execute(back, Recorder())
    assert gone(dataset) == set()
    assert open_dataset(dataset.uri).masklets().count_rows() == 3


def gone(dataset: Dataset) -> set[str]:
    rows = open_dataset(dataset.uri, include_gone=True).videos().to_table().to_pylist()
    return {row["video_id"] for row in rows if row["gone_at_ns"] is not None}


@pytest.mark.parametrize("skew", [timedelta(days=-1), timedelta(days=1)], ids=["behind", "ahead"])
def test_a_driver_whose_clock_is_wrong_plans_like_any_other(
    dataset: Dataset, workers: list[object], skew: timedelta
) -> None:
    """Reasons of the plan depend on etags, work keys and ids, never on times."""
    inputs = [replace(source, input_uri="/") for source in SOURCES]
    first = prepared(dataset, inputs[:2])
    a, b = first.plan.to_process
    workers.append([shot_result(dataset, a), shot_result(dataset, b, failure=FAILURE)])
    with clock(dataset, skew):
        execute(first, Recorder())
    second = prepared(dataset, inputs)
    counts = {reason: n for reason, n in second.plan.counts.items() if n}
    assert counts == {"new": 1, "failed": 1, "unchanged": 1}
    workers[:] = [[shot_result(dataset, source) for source in second.plan.to_process]]
    execute(second, Recorder())
    workers[:] = []
    with clock(dataset, skew):
        execute(prepared(dataset, inputs[:2]), Recorder())
    assert gone(dataset) == {"c"}
    execute(prepared(dataset, inputs), Recorder())
    assert gone(dataset) == set()
    assert prepared(dataset, inputs).plan.counts["unchanged"] == 3


def test_masklets_without_their_videos_are_ignored(
    dataset: Dataset, workers: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = prepared(dataset)
    a, b, _ = ready.plan.to_process
    workers.append([shot_result(dataset, a)])
    with monkeypatch.context() as patch:
        patch.setattr(transactions, "_commit_videos", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            execute(ready, Recorder())
    assert statuses(dataset) == {}
    workers[:] = [[shot_result(dataset, b)]]
    execute(ready, Recorder())
    assert statuses(dataset) == {"b": "ok"}
    assert open_dataset(dataset.uri).masklets().to_table()["video_id"].to_pylist() == ["b"]


def test_a_run_without_work_changes_nothing(dataset: Dataset) -> None:
    summary = execute(prepared(dataset, []), Recorder())
    assert summary.num_planned == 0
    assert not dataset.exists()


@pytest.mark.parametrize(("identity", "is_hash"), [("content", True), ("etag", False)])
def test_videos_are_identified_as_the_config_says(
    tmp_path: Path, identity: str, *, is_hash: bool
) -> None:
    config = load(
        Path("configs/quickstart.yaml"),
        [f"input.identity={identity}", f"output.uri={tmp_path}/dataset"],
    )
    sources = prepare(config).plan.to_process
    assert sources
    assert {source.etag.startswith("blake2b:") for source in sources} == {is_hash}
