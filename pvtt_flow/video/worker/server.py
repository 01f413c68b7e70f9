"""A decoder process: `python -m pvtt_flow.video.worker.server FD` does jobs from the socket at FD.

It imports what decoding needs and no more, so that it starts quickly and stays small. It ends with
its parent: its standard input is a pipe that nobody writes to and that the parent's end closes.
"""

import os
import pickle
import resource
import signal
import sys
import threading
import traceback
from contextlib import closing, suppress
from multiprocessing.reduction import send_handle

import numpy as np

# Imported ahead of the first job, which names its function: these are what jobs are made of.
from pvtt_flow.errors import DataError, PvttFlowError
from pvtt_flow.storage.retry import RETRIES
from pvtt_flow.storage.streams import open_binary
from pvtt_flow.types import Frame
from pvtt_flow.video.limits import Limits
from pvtt_flow.video.process_limits import BOUNDS
from pvtt_flow.video.worker.protocol import (
    CancelJob,
    DecodeJob,
    FrameMessage,
    ItemMessage,
    JobDone,
    Link,
    NewBuffer,
    Ready,
    ReleaseSlots,
)
from pvtt_flow.video.worker.shared_frames import FrameBuffer, new_memory, num_slots_for


class Server:
    """Does one job after the other, and gives what comes of it."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._ring: FrameBuffer | None = None
        self._ring_number = 0
        self._free: list[int] = []
        self._stopped = False

    def run(self) -> None:
        """Until the parent hangs up."""
        self._link.send(Ready())
        with suppress(EOFError, ConnectionError):
            while True:
                self._hear()

    def _hear(self) -> None:
        """Wait for a message, and do what it says."""
        match self._link.recv():
            case DecodeJob() as job:
                self._stopped = False
                error = self._error_of(job)
                self._link.send(JobDone(error, RETRIES.take()))
            case ReleaseSlots(ring, slots) if ring == self._ring_number:
                self._free.extend(slots)
            case CancelJob():
                self._stopped = True

    def _error_of(self, job: DecodeJob) -> Exception | None:
        """Does the job; why it failed, if it did."""
        try:
            self._do(job)
        except Exception as error:  # noqa: BLE001 (the parent raises it)
            return portable(error, job.limits).with_traceback(None)
        finally:
            # Not before the decoder is gone: it may hang while it is closed, too.
            BOUNDS.lift()
        return None

    def _do(self, job: DecodeJob) -> None:
        with open_binary(job.uri) as file:
            result = job.function(file, *job.args, **job.kwargs)
            if not job.iterates:
                self._give(result)
                return
            with closing(result):
                for item in result:
                    with BOUNDS.paused():
                        self._give(item)
                    if self._stopped:
                        return

    def _give(self, item: object) -> None:
        if isinstance(item, Frame):
            self._place(item)
        else:
            self._link.send(ItemMessage(item))
            while self._link.poll():
                self._hear()

    def _place(self, frame: Frame) -> None:
        """Put a frame into the ring, once there is room; messages are heard when there is none."""
        ring = self._ring_for(frame.rgb.nbytes)
        while not self._free and not self._stopped:
            self._hear()
        if self._stopped:
            return
        slot = self._free.pop()
        np.copyto(ring.slot(slot, frame.rgb.shape), frame.rgb)
        self._link.send(FrameMessage(slot, frame.rgb.shape, frame.frame_index, frame.pts_ns))

    def _ring_for(self, num_bytes: int) -> FrameBuffer:
        """The ring, or a new one where frames have another size; the old one's frames stay."""
        if self._ring is None or self._ring.slot_bytes != num_bytes:
            num_slots = num_slots_for(num_bytes)
            fd = new_memory(num_slots * num_bytes)
            try:
                self._ring = FrameBuffer(fd, num_slots, num_bytes)
                self._ring_number += 1
                self._free = list(range(num_slots))
                self._link.send(NewBuffer(self._ring_number, num_slots, num_bytes))
                send_handle(self._link, fd, os.getppid())
            finally:
                os.close(fd)
        return self._ring


def portable(error: Exception, limits: Limits) -> Exception:
    """The same error without what cannot leave this process; a bug's traceback goes as a note."""
    if isinstance(error, MemoryError):
        return DataError(
            "over_limit",
            f"a video must decode with at most {limits.max_decoder_bytes} bytes of memory "
            f"(max_decoder_bytes), but needs more; raise the limit or make the video smaller",
        )
    if isinstance(error, PvttFlowError):
        return error
    note = f"in the decoder process:\n{traceback.format_exc()}"
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 (our own)
    except Exception:  # noqa: BLE001 (foreign errors pickle as badly as they like)
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.add_note(note)
    return error


def main() -> None:
    """Serves the socket that the command line names."""
    # Ctrl-C reaches every process of a terminal, and is the parent's to answer.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    BOUNDS.enforce()
    Server(Link(int(sys.argv[1]))).run()


def _end_with_parent() -> None:
    # Not PR_SET_PDEATHSIG, which goes by the thread that made this process.
    os.read(sys.stdin.fileno(), 1)
    os._exit(0)


if __name__ == "__main__":
    main()
