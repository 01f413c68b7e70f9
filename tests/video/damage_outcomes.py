"""What becomes of damaged files, told as JSON, a line each; run as a program of its own.

A crash ends only this process, and the number of lines tells which file it was. So does a hang.
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
from tests.video.mutator import mutated

HANG_S = 20.0


@dataclass(frozen=True)
class DamageOutcome:
    seed: int
    kind: str
    """Of the failure; empty when every frame was read."""
    message: str
    num_frames: int
    peak_bytes: int
    """Of this process's memory, so far."""


def outcome_of(files: list[bytes], seed: int) -> DamageOutcome:
    """Probes and reads one of them, as the flow would."""
    data = mutated(files, seed)
    kind, message, num_frames = "", "", 0
    try:
        video = probe(io.BytesIO(data), size_bytes=len(data))
        with contextlib.closing(read_frames(io.BytesIO(data), video=video)) as frames:
            for frame in frames:
                assert frame.rgb.shape == (video.height_px, video.width_px, 3)
                num_frames += 1
    except DataError as error:
        kind, message = error.kind, str(error)
    except Exception as error:  # noqa: BLE001  what this is here to find
        kind, message = "internal", repr(error)
    return DamageOutcome(seed, kind, message, num_frames, _peak_bytes())


def _peak_bytes() -> int:
    # Not `ru_maxrss`: that begins with what the process had that started this one.
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
