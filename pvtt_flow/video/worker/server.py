"""Worker process: `python -m pvtt_flow.video.worker.server FD` runs jobs from the socket at FD.

It imports only what decoding needs, so that it starts quickly and stays small. It ends with its
parent: standard input is a pipe that carries no data and that closes when the parent ends.
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

# Imported before the first job: what the functions of jobs import.
from pvtt_flow.errors import DataError, PvttFlowError
from pvtt_flow.storage.streams import open_binary
from pvtt_flow.types import Frame
from pvtt_flow.video.limits import Limits
from pvtt_flow.video.worker.limits import AlarmTimer, limit_memory
from pvtt_flow.video.worker.protocol import (
    CancelJob,
    Connection,
    DecodeJob,
    FrameMessage,
    ItemMessage,
    JobDone,
    NewBuffer,
    Ready,
    ReleaseSlots,
)
from pvtt_flow.video.worker.shared_frames import FrameBuffer, allocate_memory, num_slots_for


class Server:
    """Runs one job after another and sends their items."""

    def __init__(self, connection: Connection, timer: AlarmTimer) -> None:
        """Serve `connection`; `timer` ends this process if a frame takes too long."""
        self._connection = connection
        self._timer = timer
        self._buffer: FrameBuffer | None = None
        self._buffer_number = 0
        self._free_slots: list[int] = []
        self._is_cancelled = False

    def serve(self) -> None:
        """Run jobs until the parent closes the connection."""
        self._connection.send(Ready())
        with suppress(EOFError, ConnectionError):
            while True:
                self._handle_message()

    def _handle_message(self) -> None:
        """Wait for a message and handle it."""
        match self._connection.recv():
            case DecodeJob() as job:
                self._is_cancelled = False
                error = self._run_and_catch(job)
                self._connection.send(JobDone(error))
            case ReleaseSlots(buffer_number, slots) if buffer_number == self._buffer_number:
                self._free_slots.extend(slots)
            case CancelJob():
                self._is_cancelled = True

    def _run_and_catch(self, job: DecodeJob) -> Exception | None:
        """Run the job; return its error, if it fails."""
        try:
            self._run(job)
        except Exception as error:  # noqa: BLE001 (the parent raises it)
            return picklable(error, job.limits).with_traceback(None)
        finally:
            # After the decoder is closed, since closing may hang as well.
            self._timer.clear()
        return None

    def _run(self, job: DecodeJob) -> None:
        max_bytes, anonymous = job.limits.max_bytes, job.anonymous
        with open_binary(job.uri, max_bytes=max_bytes, anonymous=anonymous) as file:
            limit_memory(job.limits.max_decoder_bytes)
            self._timer.start(job.limits.frame_timeout_s)
            result = job.function(file, *job.args, timer=self._timer, **job.kwargs)
            if not job.iterates:
                self._send_item(result)
                return
            with closing(result):
                for item in result:
                    with self._timer.paused():
                        self._send_item(item)
                    if self._is_cancelled:
                        return

    def _send_item(self, item: object) -> None:
        if isinstance(item, Frame):
            self._send_frame(item)
        else:
            self._connection.send(ItemMessage(item))
            while self._connection.poll():
                self._handle_message()

    def _send_frame(self, frame: Frame) -> None:
        """Copy a frame to a free slot and announce it; handle messages until a slot is free."""
        buffer = self._buffer_for(frame.rgb.nbytes)
        while not self._free_slots and not self._is_cancelled:
            self._handle_message()
        if self._is_cancelled:
            return
        slot = self._free_slots.pop()
        np.copyto(buffer.slot(slot, frame.rgb.shape), frame.rgb)
        message = FrameMessage(slot, frame.rgb.shape, frame.frame_index, frame.pts_ns)
        self._connection.send(message)

    def _buffer_for(self, frame_bytes: int) -> FrameBuffer:
        """Return the buffer, or a new one if the frame size has changed.

        The parent keeps the old buffer as long as it uses frames in it.
        """
        if self._buffer is None or self._buffer.slot_bytes != frame_bytes:
            num_slots = num_slots_for(frame_bytes)
            fd = allocate_memory(num_slots * frame_bytes)
            try:
                self._buffer = FrameBuffer(fd, num_slots, frame_bytes)
                self._buffer_number += 1
                self._free_slots = list(range(num_slots))
                self._connection.send(NewBuffer(self._buffer_number, num_slots, frame_bytes))
                send_handle(self._connection, fd, os.getppid())
            finally:
                os.close(fd)
        return self._buffer


def picklable(error: Exception, limits: Limits) -> Exception:
    """Return the error in a form that can be sent; the traceback of a bug becomes a note."""
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
    except Exception:  # noqa: BLE001 (pickling a foreign error may raise anything)
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.add_note(note)
    return error


def main() -> None:
    """Set the limits of this process, then serve the socket that the command line names."""
    # Ctrl-C reaches all processes of a terminal; the parent handles it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    Server(Connection(int(sys.argv[1])), AlarmTimer()).serve()


def _end_with_parent() -> None:
    # PR_SET_PDEATHSIG would follow the parent's thread that started this process, not the parent.
    os.read(sys.stdin.fileno(), 1)
    os._exit(0)


if __name__ == "__main__":
    main()
