"""A whole machine of the cluster dies, the one with a model on it."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from .flow_command import Shell, copies, wait_until, write_config
from .ray_cluster import Cluster, running_cluster
from .ray_node import Node, joined_node
from .tables import check_consistent, rows_of
from .test_kills import SETTINGS as ONE_AT_A_TIME
from .test_kills import has_sealed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

NUM_VIDEOS = 30
# Every frame, so that there is a middle in which a machine can die.
SETTINGS = (*ONE_AT_A_TIME, "--set", "sampling.stride=1")
_SAMPLES = ("one_product.mp4", "two_products.mp4", "truncated.mp4", "no_product.mp4")


@dataclass(frozen=True)
class TwoMachines:
    """A cluster with a job in the middle of its work."""

    cluster: Cluster
    doomed: Node
    job: "subprocess.Popen[bytes]"
    log: Path
    dataset: str


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    return copies(tmp_path / "videos", NUM_VIDEOS, *_SAMPLES)


@contextmanager
def running_on_two_machines(
    videos: Path, home: Path, *settings: str, num_sealed: int
) -> Iterator[TwoMachines]:
    """A job that has sealed so many videos, on two machines with a model each."""
    dataset = str(home / "dataset")
    config = write_config(home / "config.yaml", str(videos), dataset)
    log = home / "submit.log"
    # One CPU each, so that the two models cannot be on one of them.
    with running_cluster(num_cpus=1) as cluster, joined_node(cluster, num_cpus=1) as doomed:
        submit = ("submit", str(config), *SETTINGS, *settings, "--address", cluster.address)
        job = cluster.shell.start("pvtt-flow", *submit, log=log)
        assert wait_until(partial(has_sealed, dataset, num_sealed), timeout_s=180), log.read_text()
        # A video without a product is sealed before the tracker is up.
        assert wait_until(doomed.has_actors, timeout_s=60), log.read_text()
        yield TwoMachines(cluster, doomed, job, log, dataset)


def test_another_takes_its_place(videos: Path, shell: Shell, tmp_path: Path) -> None:
    undisturbed = str(tmp_path / "undisturbed")
    config = write_config(tmp_path / "undisturbed.yaml", str(videos), undisturbed)
    ended = shell.run("pvtt-flow", "run", str(config), *SETTINGS)
    assert ended.returncode == 0, ended.stdout

    with running_on_two_machines(videos, tmp_path, num_sealed=1) as run:
        run.doomed.kill()
        assert not has_sealed(run.dataset, NUM_VIDEOS), "it died too late to be missed"
        with joined_node(run.cluster, num_cpus=1):
            assert run.job.wait(timeout=300) == 0, run.log.read_text()
    assert check_consistent(run.dataset) == NUM_VIDEOS
    assert rows_of(run.dataset) == rows_of(undisturbed)


def test_nothing_takes_its_place(videos: Path, tmp_path: Path) -> None:
    """The run waits for as long as it was told to, and then says what is missing."""
    # Longer than models take to load.
    patience = ("--set", "run.no_progress_timeout_s=60")
    # At once: had it the detector, that might soon have nothing left to do.
    with running_on_two_machines(videos, tmp_path, *patience, num_sealed=0) as run:
        run.doomed.kill()
        assert run.job.wait(timeout=300) == 1, run.log.read_text()
    text = run.log.read_text()
    assert text.count("\nerror: ") == 1, text
    assert "$.run.no_progress_timeout_s: expected a result at least every 60 s" in text
    assert "The cluster had 2 CPUs and 0 GPUs when the run began and has 1 CPUs" in text
    assert "Traceback" not in text
    assert check_consistent(run.dataset) < NUM_VIDEOS
