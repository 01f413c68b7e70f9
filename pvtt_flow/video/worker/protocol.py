"""What a decoder process and its parent tell each other, pickled, over one socket."""

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from pvtt_flow.video.limits import DEFAULT_LIMITS, Limits


@dataclass(frozen=True, slots=True)
class DecodeJob:
    """To the child: read this video."""

    function: Callable[..., Any]
    """Takes the open file first; must be a module's own, as it travels by its name."""
    uri: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    iterates: bool = True
    """Whether what it gives are many things, one after the other."""

    @property
    def limits(self) -> Limits:
        """What the video may ask for: every function that decodes takes it by this name."""
        limits: Limits = self.kwargs.get("limits", DEFAULT_LIMITS)
        return limits


class ReleaseSlots(NamedTuple):
    """To the child: these slots of the ring may be written again."""

    ring: int
    slots: tuple[int, ...]


class CancelJob(NamedTuple):
    """To the child: nobody wants the rest of the job."""


class Ready(NamedTuple):
    """From the child, once: it has started."""


class NewBuffer(NamedTuple):
    """From the child: frames are in another ring from now on; its file descriptor follows."""

    ring: int
    num_slots: int
    slot_bytes: int


class FrameMessage(NamedTuple):
    """From the child: a frame, whose pixels are in a slot of the ring."""

    slot: int
    shape: tuple[int, ...]
    frame_index: int
    pts_ns: int


class ItemMessage(NamedTuple):
    """From the child: anything else that the job gives."""

    item: Any


class JobDone(NamedTuple):
    """From the child, after each job: nothing more comes of it."""

    error: Exception | None
    num_retries: int
    """Requests to stores that were made again."""


class Link:
    """One end of the socket. Raises EOFError or ConnectionError when the other end is gone."""

    def __init__(self, fd: int) -> None:
        self._connection: Connection[Any, Any] = Connection(fd)
        self.close = self._connection.close
        self.poll = self._connection.poll
        self.fileno = self._connection.fileno

    def send(self, message: object) -> None:
        """Raises what pickling raises, before anything is sent."""
        # Connection's own `send` makes a pickler with a table of its own each time.
        self._connection.send_bytes(pickle.dumps(message, pickle.HIGHEST_PROTOCOL))

    def recv(self) -> object:
        """The next message, once it is there."""
        message: object = pickle.loads(self._connection.recv_bytes())  # noqa: S301 (our own)
        return message
