"""A whole machine of the cluster dies, the one with a model on it."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.slow.flow_command import wait_until, write_config
from tests.slow.ray_cluster import Cluster, running_cluster
from tests.slow.ray_node import Node, joined_node
from tests.slow.tables import check_consistent, rows_of
from tests.slow.test_kills import has_committed
from tests.slow.undisturbed import NUM_VIDEOS, SETTINGS, Undisturbed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

# The tracker fits on the machine that dies alone.
TRACKER_CPUS, DOOMED_CPUS = 2, 3
PLACES = ("--set", f"resources.propagate.num_cpus={TRACKER_CPUS}")


@dataclass(frozen=True)
class TwoMachines:
    """A cluster with a job in the middle of its work."""

    doomed: Node
    job: "subprocess.Popen[bytes]"
    log: Path
    dataset: str


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A cluster of its own for each test: another one's dead node stays in it for a while."""
    with running_cluster(num_cpus=1) as started:
        yield started


@contextmanager
def running_on_two_machines(
    cluster: Cluster, videos: Path, home: Path, *settings: str
) -> Iterator[TwoMachines]:
    """Job that has committed its first videos; its tracker is on the second machine."""
    dataset = str(home / "dataset")
    config = write_config(home / "config.yaml", str(videos), dataset)
    log = home / "submit.log"
    with joined_node(cluster, DOOMED_CPUS) as doomed:
        submit = ("submit", str(config), *SETTINGS, *PLACES, *settings)
        job = cluster.shell.start("pvtt-flow", *submit, "--address", cluster.address, log=log)
        assert wait_until(partial(has_committed, dataset, 1), timeout_s=400), log.read_text()
        # A video without a product may be committed before.
        assert wait_until(doomed.shell.actors, timeout_s=120), log.read_text()
        yield TwoMachines(doomed, job, log, dataset)


def test_another_node_takes_its_place(
    cluster: Cluster, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    with running_on_two_machines(cluster, undisturbed.videos, tmp_path) as run:
        run.doomed.kill()
        assert not has_committed(run.dataset, NUM_VIDEOS), "it died too late to be missed"
        with joined_node(cluster, DOOMED_CPUS):
            assert run.job.wait(timeout=600) == 0, run.log.read_text()
    assert check_consistent(run.dataset) == NUM_VIDEOS
    assert rows_of(run.dataset) == undisturbed.rows


def test_no_node_takes_its_place(
    cluster: Cluster, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    """The run waits for as long as it was told to, and then says what is missing."""
    # Longer than models take to load.
    patience = ("--set", "run.no_progress_timeout_s=60")
    with running_on_two_machines(cluster, undisturbed.videos, tmp_path, *patience) as run:
        run.doomed.kill()
        assert run.job.wait(timeout=600) == 3, run.log.read_text()
    text = run.log.read_text()
    assert text.count("\nerror: ") == 1, text
    assert "$.run.no_progress_timeout_s: a shot must finish at least every 60 s" in text
    assert "The cluster had 4 CPUs and 0 GPUs at the start of the run and has 1 CPUs" in text
    assert "Traceback" not in text
    assert check_consistent(run.dataset) < NUM_VIDEOS
