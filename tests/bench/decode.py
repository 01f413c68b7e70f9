"""The benchmark of decoding: `python -m tests.bench.decode [--rounds N] [--videos N]`.

    bare 1, bare 2   a plain PyAV loop in this process with so many decoder threads,
                     `to_ndarray(format="rgb24")` for each frame
    in process       `read_frames` in this process: the same, with all its checks
    isolated         `read_frames` in a decoder process, as in a run: frames in shared memory
    2 at once        the same for two videos, in two threads: for that, ours has one decoder thread

On clips of 300 frames made from a sample at three sizes. All ways take turns in each round, after
one that does not count. Ratios are to the bare loop with as many threads as ours, in the same
round, so that slow minutes cancel: of wall time, which is meant for a quiet machine, and of the CPU
time of all processes. Then the first look at many short videos; see `short_videos`.

Prints a table, then one line of JSON; writes `decode.json` beside this file.
"""

import argparse
import json
import os
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain, cycle, islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import av
import cv2
import numpy as np
import psutil
from av.codec.context import ThreadType
from rich.console import Console
from rich.table import Table

from pvtt_flow.video.container import open_container
from pvtt_flow.video.decode import decode_frames
from pvtt_flow.video.limits import DEFAULT_LIMITS
from pvtt_flow.video.read import read_frames
from pvtt_flow.video.worker.decoder import Decoder, InProcessDecoder, IsolatedDecoder
from pvtt_flow.video.worker.pool import SHARED_POOL
from tests.bench import short_videos
from tests.bench.clips import sample
from tests.bench.compare import Spread
from tests.bench.machine import describe

OUTPUT = Path(__file__).with_name("decode.json")
SIZES_PX = (480, 270), (1280, 720), (1920, 1080)
NUM_FRAMES = 300
WAYS = "bare 1", "bare 2", "in process", "isolated", "2 at once"
_DECODERS: dict[str, Decoder] = {
    "in process": InProcessDecoder(),
    "isolated": IsolatedDecoder(SHARED_POOL),
    "2 at once": IsolatedDecoder(SHARED_POOL),
}


@dataclass(frozen=True, slots=True)
class Pass:
    """Decoding of a clip, once, or twice at the same time."""

    num_frames: int
    wall_s: float
    cpu_s: float
    """CPU seconds of this process and its children."""

    def frames_per(self, clock: str) -> float:
        """Frames in a second of `wall_s` or `cpu_s`."""
        return float(self.num_frames / getattr(self, clock))


Passes = dict[str, list[Pass]]
"""Passes of each round, by way of decoding."""


def main() -> None:
    """Measures every size."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.decode")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--videos", type=int, default=1000)
    options = parser.parse_args()
    machine = describe("tests.bench.decode")
    with TemporaryDirectory(prefix="bench-") as folder:
        clips = {f"{w}x{h}": _clip(Path(folder), (w, h)) for w, h in SIZES_PX}
        bare = f"bare {_num_threads(next(iter(clips.values())))}"
        sizes = {size: _measure(path, options.rounds) for size, path in clips.items()}
        _show(sizes, bare)
        short = short_videos.measure(options.videos, Path(folder))
    record = {"machine": machine, "load_after": os.getloadavg()[0], "num_frames": NUM_FRAMES,
              "compared_with": bare,
              "sizes": {size: _plain(passes, bare) for size, passes in sizes.items()},
              "short_videos": asdict(short)}  # fmt: skip
    OUTPUT.write_text(json.dumps(record, indent=1) + "\n")
    wall, cpu = (
        {size: _ratio(passes, "isolated", bare, clock).median for size, passes in sizes.items()}
        for clock in ("wall_s", "cpu_s")
    )
    summary = {
        "decode_over_bare_pyav": min(wall.values()),
        "by_size": wall,
        "in_cpu_time": cpu,
        "two_at_once_over_one": {
            size: _ratio(passes, "2 at once", "isolated", "wall_s").median
            for size, passes in sizes.items()
        },
        "short_videos_per_s": round(short.videos_per_s, 2),
        "short_videos_share_of_job": round(short.share_of_job, 3),
    }
    print(json.dumps(summary))


def _num_threads(path: Path) -> int:
    """With which ours decodes."""
    with path.open("rb") as file, open_container(file, DEFAULT_LIMITS) as opened:
        next(decode_frames(opened, DEFAULT_LIMITS))
        return int(opened.stream.thread_count)


def _clip(folder: Path, size_px: tuple[int, int]) -> Path:
    """The sample to and fro, at another size."""
    filmed = sample("one_product", ()).frames
    frames = [np.asarray(cv2.resize(f.rgb, size_px), np.uint8) for f in filmed]
    pictures = islice(cycle(chain(frames, reversed(frames))), NUM_FRAMES)
    path = folder / f"{size_px[0]}.mp4"
    with av.open(path, "w") as file:
        stream = file.add_stream("libx264", rate=30, options={"preset": "veryfast"})
        stream.width, stream.height = size_px
        for rgb in pictures:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(rgb)))
        file.mux(stream.encode(None))
    return path


def _measure(path: Path, rounds: int) -> Passes:
    """The first round warms up."""
    passes: Passes = {way: [] for way in WAYS}
    for nth in range(rounds + 1):
        for way in WAYS if nth % 2 else WAYS[::-1]:
            found = _pass(path, way)
            if nth:
                passes[way].append(found)
    return passes


def _pass(path: Path, way: str) -> Pass:
    wall_s, cpu_s = time.perf_counter(), _cpu_s()
    num_clips = 2 if way == "2 at once" else 1
    with ThreadPoolExecutor(num_clips) as pool:
        num_frames = sum(pool.map(partial(_decode, way), [path] * num_clips))
    if num_frames != num_clips * NUM_FRAMES:
        raise RuntimeError(f"{way} must give {num_clips} x {NUM_FRAMES} frames, got {num_frames}")
    return Pass(num_frames, time.perf_counter() - wall_s, _cpu_s() - cpu_s)


def _decode(way: str, path: Path) -> int:
    if way in _DECODERS:
        return sum(1 for _ in _DECODERS[way].iterate(read_frames, str(path)))
    return _bare(path, int(way[-1]))


def _bare(path: Path, num_threads: int) -> int:
    num_frames = 0
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type, stream.thread_count = ThreadType.AUTO, num_threads
        for frame in container.decode(stream):
            frame.to_ndarray(format="rgb24")
            num_frames += 1
    return num_frames


def _cpu_s() -> float:
    """Return the CPU seconds of this process and its children so far."""
    own = psutil.Process()
    times = [process.cpu_times() for process in (own, *own.children())]
    return float(sum(t.user + t.system for t in times))


def _ratio(passes: Passes, way: str, bare: str, clock: str) -> Spread:
    """Return the ratio of frames per second to those of the bare loop."""
    pairs = zip(passes[way], passes[bare], strict=True)
    return Spread.of([round(a.frames_per(clock) / b.frames_per(clock), 3) for a, b in pairs])


def _plain(passes: Passes, bare: str) -> dict[str, object]:
    """For the results file."""
    return {
        way: {
            "wall_over_bare": asdict(_ratio(passes, way, bare, "wall_s")),
            "cpu_over_bare": asdict(_ratio(passes, way, bare, "cpu_s")),
            "passes": [asdict(one) for one in found],
        }
        for way, found in passes.items()
    }


def _show(sizes: Mapping[str, Passes], bare: str) -> None:
    table = Table("size", "way", "frames/s", f"over {bare}", "in CPU time")
    for size, passes in sizes.items():
        for way, found in passes.items():
            frames_per_s = median(one.frames_per("wall_s") for one in found)
            ratios = [_ratio(passes, way, bare, clock) for clock in ("wall_s", "cpu_s")]
            spreads = [f"{r.median:.2f} ({r.low:.2f}-{r.high:.2f})" for r in ratios]
            table.add_row(size, way, f"{frames_per_s:,.0f}", *spreads)
    Console().print(table)


if __name__ == "__main__":
    main()
