"""A whole machine of the cluster dies and another takes its place: the dataset does not show it."""

from functools import partial
from pathlib import Path

import pytest

from .flow_command import Shell, copies, wait_until, write_config
from .ray_cluster import running_cluster
from .ray_node import joined_node
from .tables import check_consistent, rows_of
from .test_kills import SETTINGS, has_sealed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

NUM_VIDEOS = 30
_SAMPLES = ("one_product.mp4", "two_products.mp4", "truncated.mp4", "no_product.mp4")


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    return copies(tmp_path / "videos", NUM_VIDEOS, *_SAMPLES)


def test_the_machine_of_a_model(videos: Path, shell: Shell, tmp_path: Path) -> None:
    undisturbed, disturbed = str(tmp_path / "undisturbed"), str(tmp_path / "disturbed")
    config = write_config(tmp_path / "first.yaml", str(videos), undisturbed)
    ended = shell.run("pvtt-flow", "run", str(config), *SETTINGS)
    assert ended.returncode == 0, ended.stdout

    config = write_config(tmp_path / "second.yaml", str(videos), disturbed)
    log = tmp_path / "submit.log"
    # One CPU each, so that the two models cannot be on one of them.
    with running_cluster(num_cpus=1) as cluster, joined_node(cluster, num_cpus=1) as doomed:
        submit = ("submit", str(config), *SETTINGS, "--address", cluster.address)
        job = cluster.shell.start("pvtt-flow", *submit, log=log)
        assert wait_until(partial(has_sealed, disturbed, 3), timeout_s=180), log.read_text()
        assert doomed.has_actors()
        doomed.kill()
        assert not has_sealed(disturbed, NUM_VIDEOS), "it died too late to be missed"
        with joined_node(cluster, num_cpus=1):
            assert job.wait(timeout=300) == 0, log.read_text()
    assert check_consistent(disturbed) == NUM_VIDEOS
    assert rows_of(disturbed) == rows_of(undisturbed)
