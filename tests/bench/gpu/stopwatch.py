"""Stopwatch of a pass over some clips: the time of each frame's masks."""

import time
from collections.abc import Sequence

from tests.bench.systems import Mask

Event = tuple[float, int, int]
"""Time in seconds, clip and frame."""


class Stopwatch:
    """A `See` that notes when masks come; many threads may call it."""

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.events: list[Event] = []

    def see(self, clip: int, frame: int, _masks: Sequence[Mask]) -> None:
        """Note a frame."""
        self.events.append((time.perf_counter(), clip, frame))

    @property
    def seconds(self) -> float:
        """From the start to the last frame."""
        return max(at for at, _, _ in self.events) - self.started


def steady_frames_per_s(events: Sequence[Event], num_skipped: int) -> float | None:
    """Frames per second while every clip is past its first frames and none has ended.

    The first frames have few memories, and the last clips a machine to themselves. None if the
    clips were never all on their way.
    """
    times: dict[int, list[float]] = {}
    for at, clip, _ in sorted(events):
        times.setdefault(clip, []).append(at)
    if not times or min(map(len, times.values())) <= num_skipped:
        return None
    start = max(own[num_skipped] for own in times.values())
    stop = min(own[-1] for own in times.values())
    if start >= stop:
        return None
    return sum(start < at <= stop for at, _, _ in events) / (stop - start)
