"""A crash, hang or kill of a worker process fails its current video and nothing else."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from pvtt_flow.errors import DataError, FailureKind, StoreError
from pvtt_flow.video.limits import Limits
from pvtt_flow.video.read import read_frames
from pvtt_flow.video.worker.decoder import IsolatedDecoder
from pvtt_flow.video.worker.pool import SHARED_POOL, ProcessPool
from tests.pipeline.runs import sample
from tests.video.worker import hostile

URI = str(sample("one_product.mp4"))
NUM_FRAMES = 72
SHORT = Limits(frame_timeout_s=1)


@pytest.fixture(scope="module")
def isolated() -> Iterator[IsolatedDecoder]:
    """Decoder with one process for all tests, so that each test inherits the state of the last."""
    SHARED_POOL.close()  # workers of tests in other modules
    pool = ProcessPool(1)
    yield IsolatedDecoder(pool)
    pool.close()


@pytest.fixture(autouse=True)
def _check_worker_afterwards(isolated: IsolatedDecoder) -> Iterator[None]:
    yield
    assert sum(1 for _ in isolated.iterate(read_frames, URI)) == NUM_FRAMES
    assert_only_child(isolated.call(hostile.get_pid, URI))


def assert_only_child(pid: int) -> None:
    others = [p.cmdline() for p in psutil.Process().children() if p.pid != pid]
    assert not [command for command in others if "pvtt_flow.video.worker.server" in command]


def assert_fails(act: Callable[[], object], kind: FailureKind, *words: str) -> None:
    with pytest.raises(DataError) as caught:
        act()
    assert caught.value.kind == kind
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("num_frames", "where"), [(0, "before the first frame"), (20, "after frame 19")]
)
def test_a_crash(isolated: IsolatedDecoder, num_frames: int, where: str) -> None:
    frame_indices: list[int] = []
    with closing(isolated.iterate(hostile.crash_after, URI, num_frames)) as frames:
        assert_fails(
            lambda: frame_indices.extend(f.frame_index for f in frames),
            "decoder_crash",
            f"{where} its process died of SIGSEGV",
        )


def test_an_exit(isolated: IsolatedDecoder) -> None:
    read = isolated.iterate(hostile.exit_at_once, URI)
    assert_fails(lambda: list(read), "decoder_crash", "its process ended with exit code 3")


def test_a_kill_from_outside(isolated: IsolatedDecoder) -> None:
    pid = isolated.call(hostile.get_pid, URI)
    with closing(isolated.iterate(read_frames, URI)) as frames:
        next(frames)
        os.kill(pid, signal.SIGKILL)
        assert_fails(lambda: list(frames), "decoder_crash", "killed with SIGKILL", "after frame ")


def test_a_kill_between_two_videos_fails_neither(isolated: IsolatedDecoder) -> None:
    pid = isolated.call(hostile.get_pid, URI)
    os.kill(pid, signal.SIGKILL)
    psutil.Process(pid).wait(10)
    assert isolated.call(hostile.get_pid, URI) != pid


@pytest.mark.parametrize("lock", [False, True], ids=["", "with the interpreter's lock"])
@pytest.mark.parametrize("num_frames", [0, 3])
def test_a_hang(isolated: IsolatedDecoder, num_frames: int, *, lock: bool) -> None:
    read = isolated.iterate(hostile.hang_after, URI, num_frames, limits=SHORT, lock=lock)
    assert_fails(lambda: list(read), "over_limit", "at most 1 s (frame_timeout_s)", "was ended")


@pytest.mark.slow
def test_waiting_does_not_time_out(isolated: IsolatedDecoder) -> None:
    # Far more than a frame takes, also on a machine that is busy with other things.
    limits = Limits(frame_timeout_s=5)
    slowly = isolated.iterate(hostile.read_slowly, URI, 2 * limits.frame_timeout_s, limits=limits)
    assert sum(1 for _ in slowly) == NUM_FRAMES
    with closing(isolated.iterate(read_frames, URI, limits=limits)) as frames:
        next(frames)
        time.sleep(2 * limits.frame_timeout_s)
        assert sum(1 for _ in frames) == NUM_FRAMES - 1


def test_memory_is_limited(isolated: IsolatedDecoder) -> None:
    limits = Limits(max_decoder_bytes=1_000_000_000)
    assert_fails(
        lambda: isolated.call(hostile.take_memory, URI, 1_100_000_000, limits=limits),
        "over_limit",
        "at most 1000000000 bytes of memory (max_decoder_bytes)",
    )
    assert isolated.call(hostile.take_memory, URI, 1_100_000_000) == 1_100_000_000


def test_stopping_early_closes_the_file(isolated: IsolatedDecoder) -> None:
    pid = isolated.call(hostile.get_pid, URI)
    for num_frames in (1, 2, 30):
        with closing(isolated.iterate(read_frames, URI)) as frames:
            for _ in range(num_frames):
                next(frames)
            assert URI in {file.path for file in psutil.Process(pid).open_files()}
        assert URI not in {file.path for file in psutil.Process(pid).open_files()}
    assert isolated.call(hostile.get_pid, URI) == pid, "no process was started"


@pytest.mark.timeout(300)
def test_stopping_during_a_hang_does_not_wait_for_it(isolated: IsolatedDecoder) -> None:
    limits = Limits(frame_timeout_s=hostile.HANG_S)
    read = isolated.iterate(hostile.hang_after, URI, 1, limits=limits)
    next(read)
    read.close()


def test_a_dropped_iterator_returns_its_process(isolated: IsolatedDecoder) -> None:
    next(isolated.iterate(read_frames, URI))
    thread = threading.Thread(target=lambda: next(isolated.iterate(read_frames, URI)))
    thread.start()
    thread.join(10)
    assert not thread.is_alive()


def test_store_error_reaches_the_caller(isolated: IsolatedDecoder) -> None:
    with pytest.raises(StoreError, match="it does not answer"):
        isolated.call(hostile.lose_store, URI)


def test_errors_keep_type_and_message(isolated: IsolatedDecoder, tmp_path: Path) -> None:
    assert_fails(
        lambda: list(isolated.iterate(read_frames, str(tmp_path / "gone.mp4"))),
        "unreadable",
        "no file at",
    )
    with pytest.raises(ZeroDivisionError) as caught:
        isolated.call(hostile.divide_by_zero, URI)
    assert "in divide_by_zero" in caught.value.__notes__[0]
    with pytest.raises(RuntimeError, match=r"^OddError: 1 is not 2\nin the decoder"):
        isolated.call(hostile.raise_odd_error, URI)


def test_a_changed_environment_needs_a_new_process(
    isolated: IsolatedDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = isolated.call(hostile.get_pid, URI)
    monkeypatch.setenv("AWS_PROFILE", "another")
    assert isolated.call(hostile.get_pid, URI) != pid


_PARENT = f"""
from tests.video.worker.hostile import get_pid, hang_after
from pvtt_flow.video.worker.pool import SHARED_POOL
from pvtt_flow.video.worker.decoder import IsolatedDecoder
from pvtt_flow.video.limits import Limits
print(IsolatedDecoder(SHARED_POOL).call(get_pid, {URI!r}), flush=True)
list(IsolatedDecoder(SHARED_POOL).iterate(hang_after, {URI!r}, 1, limits=Limits()))
"""


def test_a_worker_ends_with_its_killed_parent() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT], stdout=subprocess.PIPE, text=True, env=environment
    ) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
        child.wait(10)
