"""Parent's side of a worker process."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import suppress
from multiprocessing.reduction import recv_handle
from typing import Any

from pvtt_flow.errors import DataError, MachineError
from pvtt_flow.types import Frame
from pvtt_flow.video.worker.protocol import (
    CancelJob,
    Connection,
    DecodeJob,
    FrameMessage,
    ItemMessage,
    JobDone,
    NewBuffer,
    ReleaseSlots,
)
from pvtt_flow.video.worker.shared_frames import FrameBuffer, FrameLeases

# A cancelled job ends after its current frame; starting a new process takes about as long.
_CANCEL_TIMEOUT_S = 1.0
# A process that has closed its socket is about to end.
_EXIT_TIMEOUT_S = 5.0
# The worker does no linear algebra, so it needs no threads for it. And glibc keeps the memory of a
# frame for the next one: requesting it from the system each time takes a third as long as decoding
# 720p.
_WORKER_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(64 << 20),
}
_CONNECTION_LOST = (EOFError, ConnectionError)


class WorkerProcess:
    """Process that runs one job at a time; it takes another job while it `is_usable`."""

    def __init__(self) -> None:
        """Start the process. Raises MachineError if it does not come up."""
        self._environment = dict(os.environ)
        parent_socket, worker_socket = socket.socketpair()
        with worker_socket:
            fd = worker_socket.fileno()
            self._process = subprocess.Popen(  # noqa: S603 (no part of it is user input)
                [sys.executable, "-P", "-m", "pvtt_flow.video.worker.server", str(fd)],
                # However this process ends, its end of the pipe closes, which ends the worker.
                stdin=subprocess.PIPE,
                pass_fds=[fd],
                env=_worker_environment(),
            )
        self._connection = Connection(parent_socket.detach())
        self._buffer_number = 0
        self._leases: FrameLeases | None = None
        self._is_busy = False
        try:
            self._connection.recv()
        except _CONNECTION_LOST:
            raise MachineError(
                f"a decoder process must start, but it {_describe_exit(self._wait())}; "
                f"its error output says why"
            ) from None

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def is_usable(self) -> bool:
        """Return whether the process lives, is idle, and has the current environment variables."""
        # Credentials of stores may be among them.
        has_environment = self._environment == dict(os.environ)
        return has_environment and not self._is_busy and self._process.poll() is None

    def run(self, job: DecodeJob) -> Generator[Any]:
        """Yield the items of the job as they arrive; closing the iterator cancels the job.

        The pixels of a frame are in shared memory, and stay unchanged while they are referenced.

        Raises what the job raises, and DataError of kind `over_limit` (a frame takes too long) or
        `decoder_crash` if the process ends.
        """
        self._connection.send(job)
        self._is_busy = True
        frame_index: int | None = None
        try:
            while not isinstance(message := self._receive(), JobDone):
                frame_index = getattr(message, "frame_index", None)
                yield self._unpack(message)
            self._is_busy = False
        except _CONNECTION_LOST:
            raise _exit_error(self._wait(), job, frame_index) from None
        finally:
            if self._is_busy:
                self._cancel()
        if message.error is not None:
            raise message.error

    def kill(self) -> None:
        """End the process at once, whatever it does."""
        self._is_busy = False
        self._process.kill()
        self._process.wait()
        self._connection.close()
        if self._process.stdin is not None:
            self._process.stdin.close()

    def _receive(self) -> object:
        if self._leases is not None and (slots := self._leases.take_released()):
            self._connection.send(ReleaseSlots(self._buffer_number, slots))
        message = self._connection.recv()
        if not isinstance(message, NewBuffer):
            return message
        fd = recv_handle(self._connection)
        try:
            self._leases = FrameLeases(FrameBuffer(fd, message.num_slots, message.slot_bytes))
        finally:
            os.close(fd)
        self._buffer_number = message.buffer_number
        return self._connection.recv()

    def _unpack(self, message: object) -> object:
        match message:
            case FrameMessage(slot, shape, frame_index, pts_ns) if self._leases is not None:
                return Frame(frame_index, pts_ns, self._leases.lease(slot, shape))
            case ItemMessage(item):
                return item
        raise RuntimeError(f"a decoder process must send frames or items, got {message}")

    def _cancel(self) -> None:
        """Cancel the job; kill the process if the job does not end in time."""
        deadline_s = time.monotonic() + _CANCEL_TIMEOUT_S
        with suppress(*_CONNECTION_LOST):
            self._connection.send(CancelJob())
            while self._connection.poll(max(0.0, deadline_s - time.monotonic())):
                message = self._receive()
                if isinstance(message, JobDone):
                    self._is_busy = False
                    return
                self._unpack(message)
        self.kill()

    def _wait(self) -> int:
        """Wait for the process to end; return its exit code, or minus the signal that ended it."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_EXIT_TIMEOUT_S)
        self.kill()
        return self._process.returncode


def _worker_environment() -> dict[str, str]:
    """Return this process's environment and import path, so that the same packages are found."""
    return {**os.environ, **_WORKER_ENVIRONMENT, "PYTHONPATH": os.pathsep.join(sys.path)}


def _exit_error(exit_code: int, job: DecodeJob, frame_index: int | None) -> DataError:
    """Return the error of a video during which the process ended."""
    where = "before the first frame" if frame_index is None else f"after frame {frame_index}"
    if exit_code == -signal.SIGALRM:
        return DataError(
            "over_limit",
            f"a frame must decode in at most {job.limits.frame_timeout_s:g} s (frame_timeout_s), "
            f"but {where} the decoder took longer, and was ended; raise the limit or transcode the "
            f"video",
        )
    return DataError(
        "decoder_crash",
        f"the decoder must survive the video, but {where} its process {_describe_exit(exit_code)}; "
        f"transcode the video or take it out of the input",
    )


def _describe_exit(exit_code: int) -> str:
    """Return how the process ended, as the predicate of a sentence."""
    if exit_code >= 0:
        return f"ended with exit code {exit_code}"
    name = signal.Signals(-exit_code).name
    if name == "SIGKILL":
        return "was killed with SIGKILL, as the system does when memory runs out"
    return f"died of {name}"
