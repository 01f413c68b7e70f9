"""Whatever is killed, and whenever: the dataset ends up as if nothing had been."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import psutil
import pytest

from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.errors import PreflightError
from tests.slow.flow_command import Shell, kill_if_alive, wait_until, write_config
from tests.slow.tables import check_consistent, rows_of, runs_of
from tests.slow.undisturbed import NUM_VIDEOS, SETTINGS, Undisturbed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

NUM_KILLS = 4


def test_the_driver_at_random_instants(
    undisturbed: Undisturbed, shell: Shell, tmp_path: Path
) -> None:
    """Half of them before a run has finished anything, half when it just has."""
    uri = str(tmp_path / "dataset")
    # A bad video is tried again by every run, which must not use up its attempts here.
    config = write_config(tmp_path / "config.yaml", str(undisturbed.videos), uri)
    command = ("pvtt-flow", "run", str(config), *SETTINGS, "--only", "new")
    instants = random.Random(4)
    committed: dict[str, str] = {}
    for nth in range(NUM_KILLS):
        process = shell.start(*command, log=tmp_path / "run.log")
        if nth % 2:
            assert wait_until(partial(has_gone_on, process, uri, len(committed)), timeout_s=400)
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
    assert len({*committed.values()}) >= 2, "too many runs were killed before they had finished any"


def test_actors_and_ray_itself(undisturbed: Undisturbed, shell: Shell, tmp_path: Path) -> None:
    """Ray starts actors again, and does again what they were at; without its GCS the run ends."""
    uri = str(tmp_path / "dataset")
    config = write_config(tmp_path / "config.yaml", str(undisturbed.videos), uri)
    log = tmp_path / "run.log"
    command = ("pvtt-flow", "run", str(config), *SETTINGS, "--only", "new")
    process = shell.start(*command, log=log)
    for number in (1, 4):
        assert wait_until(partial(has_committed, uri, number), timeout_s=400), log.read_text()
        assert process.poll() is None, log.read_text()
        kill_an_actor(shell)
    assert wait_until(partial(has_committed, uri, 5), timeout_s=400), log.read_text()
    with suspended(shell.actors()):  # else they might finish all videos before the loss is noticed
        kill_gcs(shell)
        assert process.wait(timeout=400) == 3, log.read_text()
    text = log.read_text()
    assert text.count("\nerror: ") == 1, text
    assert "error: Ray's control service (gcs_server at" in text
    assert "Committed results are kept; the same command processes the rest" in text
    assert 5 <= check_consistent(uri) < NUM_VIDEOS

    rest = shell.run(*command)
    assert rest.returncode == 0, rest.stdout
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
    assert wait_until(lambda: any(map(kill_if_alive, shell.actors())), timeout_s=300)


@contextmanager
def suspended(processes: Sequence[psutil.Process]) -> Iterator[None]:
    """Stop processes, and let those go on that are still there at the end."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.suspend()
    yield
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.resume()


def kill_gcs(shell: Shell) -> None:
    """Kill Ray's control service."""
    (gcs,) = (process for process in shell.processes() if process.name() == "gcs_server")
    gcs.kill()


def has_gone_on(process: "subprocess.Popen[bytes]", uri: str, number: int) -> bool:
    """Return whether more videos were committed or the process has ended."""
    return process.poll() is not None or has_committed(uri, number + 1)


def has_committed(uri: str, number: int) -> bool:
    """Return whether at least this many videos are in the dataset."""
    dataset = Dataset(uri)
    with suppress(PreflightError):
        return dataset.exists() and len(dataset.ledger()) >= number
    return False
