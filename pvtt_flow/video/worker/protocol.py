"""Messages between a worker process and its parent, pickled, over one socket."""

import multiprocessing.connection
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pvtt_flow.video.limits import DEFAULT_LIMITS, Limits


@dataclass(frozen=True, slots=True)
class DecodeJob:
    """Parent to worker: run a function on a video."""

    function: Callable[..., Any]
    """Function of a module, since it is pickled by name; takes the open file first, and `timer`."""
    uri: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    iterates: bool = True
    """True if the function returns an iterator, whose items are sent one by one."""
    anonymous: bool = False
    """True to read a public bucket without credentials."""

    @property
    def limits(self) -> Limits:
        """Limits of the video."""
        return limits_of(self.kwargs)


def limits_of(kwargs: Mapping[str, Any]) -> Limits:
    """Return the limits of a video: every function that decodes has an argument of this name."""
    limits: Limits = kwargs.get("limits", DEFAULT_LIMITS)
    return limits


class ReleaseSlots(NamedTuple):
    """Parent to worker: these slots of the frame buffer may be overwritten."""

    buffer_number: int
    slots: tuple[int, ...]


class CancelJob(NamedTuple):
    """Parent to worker: stop the job after its current item."""


class Ready(NamedTuple):
    """Worker to parent, once: the process has started."""


class NewBuffer(NamedTuple):
    """Worker to parent: frames use another buffer from now on; its file descriptor follows."""

    buffer_number: int
    num_slots: int
    slot_bytes: int


class FrameMessage(NamedTuple):
    """Worker to parent: a frame, whose pixels are in a slot of the frame buffer."""

    slot: int
    shape: tuple[int, ...]
    frame_index: int
    pts_ns: int


class ItemMessage(NamedTuple):
    """Worker to parent: an item or a result that is not a frame."""

    item: Any


class JobDone(NamedTuple):
    """Worker to parent, after each job: nothing more follows."""

    error: Exception | None


class Connection:
    """End of the socket. Raises EOFError or ConnectionError if the other end is closed."""

    def __init__(self, fd: int) -> None:
        """Own the socket with this file descriptor."""
        self._connection: multiprocessing.connection.Connection[Any, Any] = (
            multiprocessing.connection.Connection(fd)
        )
        self.close = self._connection.close
        self.poll = self._connection.poll
        self.fileno = self._connection.fileno

    def send(self, message: object) -> None:
        """Send a message; an error in pickling is raised before anything is sent."""
        # multiprocessing's own `send` creates a pickler with a dispatch table for each message.
        self._connection.send_bytes(pickle.dumps(message, pickle.HIGHEST_PROTOCOL))

    def recv(self) -> object:
        """Wait for the next message and return it."""
        message: object = pickle.loads(self._connection.recv_bytes())  # noqa: S301 (our own)
        return message
