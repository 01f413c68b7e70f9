"""Program that reads mutated files and prints an outcome per file, as JSON lines.

A crash or a hang ends only this process; the number of lines shows which file caused it.
"""

import contextlib
import faulthandler
import io
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from pvtt_flow.errors import DataError
from pvtt_flow.video.probe import probe
from pvtt_flow.video.read import read_frames
from tests.video.mutator import mutate

HANG_S = 20.0


@dataclass(frozen=True)
class DamageOutcome:
    """Outcome of probing and reading one mutated file."""

    seed: int
    kind: str
    """Kind of the failure; empty if every frame was read."""
    message: str
    num_frames: int
    peak_bytes: int
    """Peak memory of this process so far."""


def outcome_of(files: list[bytes], seed: int) -> DamageOutcome:
    """Mutate one of the files, then probe and read it as a run does."""
    data = mutate(files, seed)
    kind, message, num_frames = "", "", 0
    try:
        video = probe(io.BytesIO(data), size_bytes=len(data))
        with contextlib.closing(read_frames(io.BytesIO(data), video=video)) as frames:
            for frame in frames:
                assert frame.rgb.shape == (video.height_px, video.width_px, 3)
                num_frames += 1
    except DataError as error:
        kind, message = error.kind, str(error)
    except Exception as error:  # noqa: BLE001 (the tests look for these)
        kind, message = "internal", repr(error)
    return DamageOutcome(seed, kind, message, num_frames, _peak_bytes())


def _peak_bytes() -> int:
    # `ru_maxrss` would start at the value of the parent process.
    status = Path("/proc/self/status").read_text()
    return 1024 * next(int(row.split()[1]) for row in status.splitlines() if "VmHWM" in row)


def main(folder: str, start: str, stop: str) -> None:
    faulthandler.enable()
    files = [path.read_bytes() for path in sorted(Path(folder).iterdir())]
    for seed in range(int(start), int(stop)):
        faulthandler.dump_traceback_later(HANG_S, exit=True)
        print(json.dumps(asdict(outcome_of(files, seed))), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
