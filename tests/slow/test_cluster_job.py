"""The run as a job of a real Ray cluster that asks for a token."""

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from pvtt_flow import open_dataset
from tests.slow.flow_command import SAMPLES, copies, wait_until, write_config
from tests.slow.ray_cluster import Cluster, running_cluster

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with running_cluster() as started:
        yield started


@pytest.fixture
def config(tmp_path: Path) -> Path:
    videos = tmp_path / "videos"
    videos.mkdir()
    for name in ("one_product.mp4", "two_products.mp4"):
        shutil.copy(SAMPLES / name, videos)
    return write_config(tmp_path / "config.yaml", str(videos), str(tmp_path / "dataset"))


def test_a_submitted_run_fills_the_dataset_and_the_plain_way_finds_nothing_new(
    cluster: Cluster, config: Path, tmp_path: Path
) -> None:
    submit = ("submit", str(config), "--address", cluster.address)
    first = cluster.shell.run("pvtt-flow", *submit)
    assert first.returncode == 0, first.stdout
    assert "2 of 2 videos" in first.stdout
    assert "SUCCEEDED" in first.stdout
    records = open_dataset(str(tmp_path / "dataset")).videos().to_table().to_pylist()
    assert [record["status"] for record in records] == ["ok", "ok"]

    plain = ("--address", cluster.address, "--", "pvtt-flow", "run", str(config))
    second = cluster.shell.run("ray", "job", "submit", *plain)
    assert second.returncode == 0, second.stdout
    assert "nothing to do: 2 unchanged" in second.stdout


def test_a_failing_run_fails_here_too_with_its_code_and_its_reason_in_the_log(
    cluster: Cluster, config: Path, tmp_path: Path
) -> None:
    nowhere = f"input.uri={tmp_path / 'nowhere'}"
    done = cluster.shell.run(
        "pvtt-flow", "submit", str(config), "--set", nowhere, "--address", cluster.address
    )
    assert done.returncode == 2, done.stdout
    assert "error: $.input.uri: no videos at" in done.stdout
    assert "FAILED" in done.stdout


def test_a_stop_here_stops_the_job(cluster: Cluster, config: Path, tmp_path: Path) -> None:
    """SIGTERM ends it as Ctrl-C does: it has the same handler."""
    # Enough of them that the job is still at work when it is told to stop.
    copies(tmp_path / "videos", 30, "one_product.mp4")
    log = tmp_path / "submit.log"
    submit = ("submit", str(config), "--address", cluster.address)
    # The plan can only be made there if the folder went along.
    folder = ("--working-dir", str(tmp_path / "videos"), "--set", "input.uri=.")
    process = cluster.shell.start("pvtt-flow", *submit, *folder, log=log)
    assert wait_until(lambda: "plan: 32 new" in log.read_text(), timeout_s=400), log.read_text()
    process.send_signal(signal.SIGTERM)
    assert process.wait(400) == 3, log.read_text()
    assert "STOPPED" in log.read_text()
    listed = cluster.shell.run("ray", "job", "list", "--address", cluster.address)
    assert "JobStatus.RUNNING" not in listed.stdout


def test_a_wrong_token_or_address_is_refused_before_any_work(
    cluster: Cluster, config: Path
) -> None:
    submit = ("pvtt-flow", "submit", str(config), "--address")
    unknown = cluster.stranger.run(*submit, cluster.address)
    assert unknown.returncode == 2, unknown.stdout
    assert "RAY_AUTH_TOKEN" in unknown.stdout
    absent = cluster.shell.run(*submit, "http://127.0.0.1:9")
    assert absent.returncode == 3, absent.stdout
    assert "a Ray dashboard at http://127.0.0.1:9 must answer" in absent.stdout
