"""A decoder process, seen from the process that has it."""

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

from pvtt_flow.errors import DataError
from pvtt_flow.storage.retry import RETRIES
from pvtt_flow.types import Frame
from pvtt_flow.video.worker.protocol import (
    CancelJob,
    DecodeJob,
    FrameMessage,
    ItemMessage,
    JobDone,
    Link,
    NewBuffer,
    ReleaseSlots,
)
from pvtt_flow.video.worker.shared_frames import FrameBuffer, FrameLeases

# A job that nobody wants any more ends with its next frame; a new process takes about as long.
_STOP_S = 1.0
# A process whose socket is closed is as good as dead.
_DEATH_S = 5.0
# No threads for algebra that it does not do. And glibc keeps the memory of a frame for the next:
# to ask the system for it again each time takes a third as long as decoding 720p.
_SETTINGS = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(64 << 20),
}
_LOST = (EOFError, ConnectionError)


class WorkerProcess:
    """Does one job at a time, and another one after it while it is `usable`."""

    def __init__(self) -> None:
        """Starts it. Raises RuntimeError when it does not come up."""
        self._environment = dict(os.environ)
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 (nothing of it is anybody's input)
                [sys.executable, "-P", "-m", "pvtt_flow.video.worker.server", str(theirs.fileno())],
                # Whatever ends this process closes the pipe, which ends the child.
                stdin=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                env=_childs_environment(),
            )
        self._link = Link(ours.detach())
        self._ring_number = 0
        self._lent: FrameLeases | None = None
        self._busy = False
        try:
            self._link.recv()
        except _LOST:
            raise RuntimeError(
                f"a decoder process must start, but it {_end_of(self._exit_code())}; "
                f"its error output says why"
            ) from None

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def usable(self) -> bool:
        """Whether it lives, is idle, and knows the credentials that are in force now."""
        known = self._environment == dict(os.environ)
        return known and not self._busy and self._process.poll() is None

    def run(self, job: DecodeJob) -> Generator[Any]:
        """What the job gives, as it comes; closing the iterator ends the job.

        A frame's pixels are in shared memory, and stay as they are for as long as anyone has them.

        Raises what the job raises, and DataError of kind `over_limit` (a frame takes too long) or
        `decoder_crash`, when the process is gone.
        """
        self._link.send(job)
        self._busy = True
        frame_index: int | None = None
        try:
            while not isinstance(message := self._receive(), JobDone):
                frame_index = getattr(message, "frame_index", None)
                yield self._item(message)
            self._end(message)
        except _LOST:
            raise _death(self._exit_code(), job, frame_index) from None
        finally:
            if self._busy:
                self._stop()
        if message.error is not None:
            raise message.error

    def kill(self) -> None:
        """End the process, whatever it is at."""
        self._busy = False
        self._process.kill()
        self._process.wait()
        self._link.close()
        if self._process.stdin is not None:
            self._process.stdin.close()

    def _receive(self) -> object:
        if self._lent is not None and (slots := self._lent.returned()):
            self._link.send(ReleaseSlots(self._ring_number, slots))
        message = self._link.recv()
        if not isinstance(message, NewBuffer):
            return message
        fd = recv_handle(self._link)
        try:
            self._lent = FrameLeases(FrameBuffer(fd, message.num_slots, message.slot_bytes))
        finally:
            os.close(fd)
        self._ring_number = message.ring
        return self._link.recv()

    def _item(self, message: object) -> object:
        match message:
            case FrameMessage(slot, shape, frame_index, pts_ns) if self._lent is not None:
                return Frame(frame_index, pts_ns, self._lent.take(slot, shape))
            case ItemMessage(item):
                return item
        raise RuntimeError(f"a decoder process must give frames or items, got {message}")

    def _end(self, message: JobDone) -> None:
        RETRIES.add(message.num_retries)
        self._busy = False

    def _stop(self) -> None:
        """Have the job end soon, or the process."""
        deadline_s = time.monotonic() + _STOP_S
        with suppress(*_LOST):
            self._link.send(CancelJob())
            while self._link.poll(max(0.0, deadline_s - time.monotonic())):
                message = self._receive()
                if isinstance(message, JobDone):
                    self._end(message)
                    return
                self._item(message)
        self.kill()

    def _exit_code(self) -> int:
        """Of the process, which is ending or already gone; a signal's number below 0."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_DEATH_S)
        self.kill()
        return self._process.returncode


def _childs_environment() -> dict[str, str]:
    """Ours and more, with our path, so that it finds the same packages."""
    return {**os.environ, **_SETTINGS, "PYTHONPATH": os.pathsep.join(sys.path)}


def _death(exit_code: int, job: DecodeJob, frame_index: int | None) -> DataError:
    """What the end of the process says of the video."""
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
        f"the decoder must survive the video, but {where} its process {_end_of(exit_code)}; "
        f"transcode the video or take it out of the input",
    )


def _end_of(exit_code: int) -> str:
    """In words."""
    if exit_code >= 0:
        return f"ended with exit code {exit_code}"
    name = signal.Signals(-exit_code).name
    if name == "SIGKILL":
        return "was killed with SIGKILL, as the system does when memory runs out"
    return f"died of {name}"
