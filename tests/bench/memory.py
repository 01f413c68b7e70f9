"""The most memory that tracking a clip of some length ever holds: run in a process of its own.

`python -m tests.bench.memory 5000` prints that process's peak in bytes.
"""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pvtt_flow.models.tracker import PromptedShot, TrackerParams
from pvtt_flow.types import Frame, Prompt
from tests.bench.clips import FRAME_NS

if TYPE_CHECKING:
    # It imports torch, which only the measured processes need.
    from tests.bench.systems import Model

SHORT_FRAMES = 100
_HEIGHT_PX, _WIDTH_PX = 270, 480
_SIDE_PX = 80
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Memory:
    """Peaks of two processes that track one object of one shot, all of torch included."""

    short_frames: int
    short_bytes: int
    long_frames: int
    long_bytes: int

    @property
    def ratio(self) -> float:
        """The long clip's peak over the short one's."""
        return self.long_bytes / self.short_bytes


def measure(long_frames: int) -> Memory:
    """Tracks a short and a long clip in fresh processes."""
    return Memory(SHORT_FRAMES, _peak_of(SHORT_FRAMES), long_frames, _peak_of(long_frames))


def _peak_of(num_frames: int) -> int:
    command = [sys.executable, "-m", "tests.bench.memory", str(num_frames)]
    done = subprocess.run(command, cwd=_ROOT, check=True, capture_output=True, text=True)
    return int(done.stdout.split()[-1])


def track(num_frames: int, model: "Model", params: TrackerParams) -> None:
    """Track a clip of this length in each slot of a tracker, all at once."""
    from tests.bench.systems import tracker

    shots = params.max_concurrent_shots
    made = tracker(model, params)
    with ThreadPoolExecutor(shots) as pool:
        seen = pool.map(lambda _: sum(1 for _ in made.track(_clip(num_frames))), range(shots))
        if (lengths := set(seen)) != {num_frames}:
            raise RuntimeError(f"expected {num_frames} tracked frames, got {lengths}")
    made.close()


def _clip(num_frames: int) -> PromptedShot:
    box = (0.0, 0.0, float(_SIDE_PX), float(_SIDE_PX))
    return PromptedShot(
        read=lambda start, stop: islice(_frames(), start, num_frames if stop is None else stop),
        prompts={0: [Prompt(object_id=0, frame_index=0, box_xyxy=box)]},
        prompt_frames={0: next(_frames())},
    )


def _frames() -> Iterator[Frame]:
    """A bright square that wanders over noise for ever; each frame is made when it is asked for."""
    ground = np.random.default_rng(0).integers(0, 90, (_HEIGHT_PX, _WIDTH_PX, 3), np.uint8)
    for i in count():
        rgb = ground.copy()
        top, left = _bounced(i, _HEIGHT_PX - _SIDE_PX), _bounced(2 * i, _WIDTH_PX - _SIDE_PX)
        rgb[top : top + _SIDE_PX, left : left + _SIDE_PX] = (230, 190, 40)
        yield Frame(i, i * FRAME_NS, rgb)


def _bounced(way: int, room: int) -> int:
    """`way` folded into [0, room], as a ball between two walls."""
    there = way % (2 * room)
    return min(there, 2 * room - there)


def peak_bytes() -> int:
    """Return the peak memory of this process; unlike `ru_maxrss`, without its parent's before
    `exec`."""
    status = Path("/proc/self/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    from tests.bench.systems import embedded

    track(int(sys.argv[1]), embedded(), TrackerParams(device="cpu", max_concurrent_shots=1))
    print(peak_bytes())
