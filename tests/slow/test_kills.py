"""Whatever is killed, and whenever: the dataset ends up as if nothing had been."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from pvtt_flow import open_dataset
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.errors import PreflightError
from tests.slow.flow_command import Shell, copies, wait_until, write_config
from tests.slow.tables import Rows, check_consistent, rows_of, runs_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

NUM_VIDEOS, NUM_KILLS = 30, 20
# One shot at a time in every batch, so that even the last digit of a score is the same.
SETTINGS = (
    *("--set", "tracker.max_concurrent_shots=1", "--set", "resources.detect.batch_size=1"),
    # All frames, so that there is a middle.
    *("--set", "sampling.stride=1"),
)
_SAMPLES = ("one_product.mp4", "two_products.mp4", "truncated.mp4", "no_product.mp4")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good ones, broken ones, and one that is no video."""
    folder = copies(tmp_path_factory.mktemp("videos"), NUM_VIDEOS - 1, *_SAMPLES)
    (folder / "text.mp4").write_text("no video")
    return folder


@dataclass(frozen=True)
class Undisturbed:
    """A run that nobody killed."""

    rows: Rows
    first_commit_s: float
    """From its start."""


@pytest.fixture(scope="module")
def undisturbed(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    home = tmp_path_factory.mktemp("undisturbed")
    config = write_config(home / "config.yaml", str(videos), str(home / "dataset"))
    started_ns = time.time_ns()
    ended = Shell.new().run("pvtt-flow", "run", str(config), *SETTINGS)
    assert ended.returncode == 0, ended.stdout
    uri = str(home / "dataset")
    committed_ns = min(open_dataset(uri).videos().to_table()["finished_at_ns"].to_pylist())
    return Undisturbed(rows_of(uri), (committed_ns - started_ns) / 1e9)


def test_the_driver_at_twenty_random_instants(
    videos: Path, undisturbed: Undisturbed, shell: Shell, tmp_path: Path
) -> None:
    """Half of them before a run has finished anything, half when it just has."""
    uri = str(tmp_path / "dataset")
    # A bad video is tried again by every run, which must not use up its attempts here.
    config = write_config(tmp_path / "config.yaml", str(videos), uri)
    command = ("pvtt-flow", "run", str(config), *SETTINGS, "--only", "new")
    instants = random.Random(4)
    committed: dict[str, str] = {}
    for nth in range(NUM_KILLS):
        process = shell.start(*command, log=tmp_path / "run.log")
        if nth % 2:
            assert wait_until(partial(has_gone_on, process, uri, len(committed)), timeout_s=180)
        # Short, so that there is something to do for as many runs as possible.
        longest_s = 0.5 if nth % 2 else undisturbed.first_commit_s
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=instants.uniform(0, longest_s))
        process.kill()
        process.wait()
        shell.clear(after_s=1)
        with suppress(PreflightError):  # killed before it made the tables
            before, committed = committed, runs_of(uri)
            assert before.items() <= committed.items(), "what is committed is not made again"
            assert check_consistent(uri) == len(committed)
    last = shell.run(*command)
    assert last.returncode == 0, last.stdout
    assert rows_of(uri) == undisturbed.rows
    assert len({*committed.values()}) > 3, "too many runs were killed before they had done anything"


def test_actors(videos: Path, undisturbed: Undisturbed, shell: Shell, tmp_path: Path) -> None:
    """Ray starts them again, and does again what they were at."""
    uri = str(tmp_path / "dataset")
    config = write_config(tmp_path / "config.yaml", str(videos), uri)
    log = tmp_path / "run.log"
    process = shell.start("pvtt-flow", "run", str(config), *SETTINGS, log=log)
    for number in (1, 8, 15):
        assert wait_until(partial(has_committed, uri, number), timeout_s=180), log.read_text()
        assert process.poll() is None, log.read_text()
        kill_an_actor(shell)
    assert process.wait(timeout=300) == 0, log.read_text()
    check_consistent(uri)
    assert rows_of(uri) == undisturbed.rows


def test_between_the_two_commits(tmp_path: Path) -> None:
    """A process that dies there, by a signal that it cannot see."""
    dataset = Dataset(str(tmp_path / "dataset"))
    dataset.ensure()
    commit = [sys.executable, "-c", _COMMIT, dataset.uri]
    tests = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([*commit, "first", "live"], check=True, env=tests)
    for _ in range(3):
        died = subprocess.run([*commit, "second", "die"], check=False, env=tests)
        assert died.returncode == -signal.SIGKILL
        assert check_consistent(dataset.uri) == 1
    subprocess.run([*commit, "second", "live"], check=True, env=tests)
    assert check_consistent(dataset.uri) == 2


_COMMIT = """
import os, signal, sys
from tests.dataset.dataset_rows import masklet, video_record
from pvtt_flow.dataset import transactions
from pvtt_flow.dataset.dataset import Dataset

uri, video, fate = sys.argv[1:]
if fate == "die":
    transactions._commit_videos = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
dataset = Dataset(uri)
files = dataset.write_masklets([masklet(video, run_id=video)])
dataset.commit(files, [video_record(video, run_id=video)], run_id=video)
"""


def kill_an_actor(shell: Shell) -> None:
    """Kill an actor that is working or about to."""
    assert wait_until(shell.actors, timeout_s=60)
    shell.actors()[0].kill()


def has_gone_on(process: "subprocess.Popen[bytes]", uri: str, number: int) -> bool:
    """Return whether more videos were committed or the process has ended."""
    return process.poll() is not None or has_committed(uri, number + 1)


def has_committed(uri: str, number: int) -> bool:
    """Return whether at least this many videos are in the dataset."""
    dataset = Dataset(uri)
    with suppress(PreflightError):
        return dataset.exists() and len(dataset.ledger()) >= number
    return False
