"""What a decoder process and its parent tell each other, pickled, over one socket."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pvtt_flow.media.limits import DEFAULT_LIMITS, Limits


@dataclass(frozen=True, slots=True)
class Job:
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


@dataclass(frozen=True, slots=True)
class Freed:
    """To the child: these slots of the ring may be written again."""

    ring: int
    slots: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Stop:
    """To the child: nobody wants the rest of the job."""


@dataclass(frozen=True, slots=True)
class Ready:
    """From the child, once: it has started."""


@dataclass(frozen=True, slots=True)
class NewRing:
    """From the child: frames are in another ring from now on; its file descriptor follows."""

    ring: int
    num_slots: int
    slot_bytes: int


@dataclass(frozen=True, slots=True)
class Placed:
    """From the child: a frame, whose pixels are in a slot of the ring."""

    slot: int
    shape: tuple[int, ...]
    frame_index: int
    pts_ns: int


@dataclass(frozen=True, slots=True)
class Given:
    """From the child: anything else that the job gives."""

    item: Any


@dataclass(frozen=True, slots=True)
class Ended:
    """From the child, after each job: nothing more comes of it."""

    error: Exception | None
    num_retries: int
    """Requests to stores that were made again."""
