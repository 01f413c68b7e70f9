"""Contestant: one system in a process of its own, with the footage it tracks."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from typing import Literal

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from pvtt_flow.models.sam2.tuning import AS_SHIPPED, Tuning
from pvtt_flow.models.tracker import TrackerParams
from tests.bench.clips import Encoded, Filmed
from tests.bench.compare import Masks, masks_of
from tests.bench.gpu.compilation import Compiler
from tests.bench.gpu.kernels import Profile, profile_kernels
from tests.bench.gpu.record import Row
from tests.bench.gpu.stopwatch import Stopwatch, steady_frames_per_s
from tests.bench.memory import peak_bytes
from tests.bench.systems import Engine, Model, Official, Precision, System

# Frames with fewer memories than SAM 2 can read.
_MAX_UNSTEADY_FRAMES = 16


@dataclass(frozen=True, slots=True)
class Spec:
    """System to measure."""

    system: Literal["official", "vos_optimized", "engine"]
    model: Model
    device: str
    precision: Precision
    lanes: int = 1
    """Concurrent shots, each a clip; the official predictor has one."""
    compile_steps: bool = False
    generates_code: bool = True
    """False on a CPU: compiled functions are only traced (`compilation.Compiler`)."""
    tuning: Tuning = AS_SHIPPED

    @property
    def name(self) -> str:
        """In tables and results: `engine@16 bfloat16 compiled`."""
        lanes = f"@{self.lanes}" if self.system == "engine" else ""
        compiled = " compiled" if self.compile_steps else ""
        return f"{self.system}{lanes} {self.precision}{compiled}"


class Contestant:
    """System that is ready to track."""

    def __init__(self, spec: Spec, clips: Sequence[Encoded]) -> None:
        """Load the model, and decode and resize the clips."""
        self._compiler = Compiler(generates_code=spec.generates_code)
        self._spec = spec
        self._device = torch.device(spec.device)
        self._clips = clips
        side = spec.model.size_px
        # Not `Encoded.frames`: those are decoded each time.
        self._filmed = [Filmed(c.frames, c.prompts).resized((side, side)) for c in clips]
        self._shortened: dict[int, list[Filmed]] = {}
        self._system = make_system(spec)

    def run(self, num_objects: int, num_frames: int, *, decode: bool = False) -> Row:
        """Track `lanes` clips at once and return how fast, and the memory.

        Frames are in memory at the model's size, or with `decode` in files at display size.
        """
        clips = self._lanes(num_objects, num_frames, decode=decode)
        self._reset_peak()
        stopwatch = Stopwatch()
        self._system.track(clips, stopwatch.see)
        peaks = self._peaks()
        steady = steady_frames_per_s(stopwatch.events, min(_MAX_UNSTEADY_FRAMES, num_frames // 3))
        return {
            "num_objects": num_objects,
            "decode": decode,
            "num_frames": len(stopwatch.events),
            "seconds": stopwatch.seconds,
            "frames_per_s": len(stopwatch.events) / stopwatch.seconds,
            "steady_frames_per_s": steady,
            "warnings": self._compiler.report().warnings,
            **peaks,
        }

    def warm_up(self, num_objects: int, num_frames: int) -> Row:
        """Run once, and return the seconds that it took and what was compiled."""
        started = time.perf_counter()
        self._system.track(self._lanes(num_objects, num_frames), lambda *_: None)
        seconds = time.perf_counter() - started
        return {
            "warm_up_s": seconds,
            "chosen": self._system.chosen if isinstance(self._system, Engine) else None,
            **asdict(self._compiler.report()),
            **self._peaks(),
        }

    def masks(self, num_objects: int, num_frames: int) -> Masks:
        """Track the first clip in every lane and return the masks of one."""
        clips = self._lanes(num_objects, num_frames)
        found = masks_of(self._system, [clips[0]] * len(clips))
        return {key: mask for key, mask in found.items() if key[0] == 0}

    def profile(self, num_objects: int, num_frames: int) -> Profile:
        """Return the kernels of a pass."""
        clips = self._lanes(num_objects, num_frames)
        return profile_kernels(lambda: self._system.track(clips, lambda *_: None), self._device)

    def flops_of_last_frame(self, num_objects: int, num_frames: int) -> int:
        """Count the operations of the official predictor on a clip's last frame.

        Attention is run as plain products, which every version of torch can count.
        """
        [clip] = self._lanes(num_objects, num_frames)[:1]
        totals: list[int] = []
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            self._system.track([clip], lambda *_: totals.append(counter.get_total_flops()))
        return totals[-1] - totals[-2]

    def _lanes(
        self, num_objects: int, num_frames: int, *, decode: bool = False
    ) -> list[Filmed] | list[Encoded]:
        lanes = self._spec.lanes
        if decode:
            files = [c.first(num_frames).prompting(num_objects) for c in self._clips]
            return list(islice(cycle(files), lanes))
        if num_frames not in self._shortened:
            # The official predictor knows a clip by its frames.
            self._shortened[num_frames] = [
                Filmed(c.frames[:num_frames], c.prompts) for c in self._filmed
            ]
        filmed = [c.prompting(num_objects) for c in self._shortened[num_frames]]
        return list(islice(cycle(filmed), lanes))

    def _reset_peak(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
            torch.cuda.reset_peak_memory_stats(self._device)

    def _peaks(self) -> Row:
        row: Row = {"host_peak_bytes": peak_bytes()}
        if self._device.type == "cuda":
            row["device_peak_bytes"] = torch.cuda.max_memory_allocated(self._device)
            row["device_reserved_bytes"] = torch.cuda.max_memory_reserved(self._device)
            # The others that take turns on the device need room, too.
            torch.cuda.empty_cache()
        return row


def make_system(spec: Spec) -> System:
    """Make the system in this process."""
    if spec.system == "engine":
        return make_engine(spec)
    return Official(
        spec.model,
        torch.device(spec.device),
        precision=spec.precision,
        vos_optimized=spec.system == "vos_optimized",
        keeps_images=True,
    )


def make_engine(spec: Spec) -> Engine:
    """Make the engine of a spec in this process."""
    return Engine(spec.model, tracker_params(spec), spec.tuning)


def tracker_params(spec: Spec) -> TrackerParams:
    """Return the tracker's settings for a spec of the engine."""
    return TrackerParams(
        device="cuda" if spec.device == "cuda" else "cpu",
        max_concurrent_shots=spec.lanes,
        precision=spec.precision,
        compile_steps=spec.compile_steps,
    )
