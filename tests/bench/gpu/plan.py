"""Sizes of the benchmark on a GPU, and of its trial on a CPU."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pvtt_flow.models.sam2.attention_kernels import KERNELS
from tests.bench.clips import MAX_OBJECTS
from tests.bench.gpu.contestant import Spec
from tests.bench.systems import Architecture, Model, Precision, embedded, embedded_for, random_model

PARTS = {
    "start": 4,
    "attention": 1,
    "speed": 10,
    "savings": 5,
    "roofline": 3,
    "memory": 4,
    "job": 3,
}
"""Parts, the most wanted first, with the minutes of 25 that each may take."""
Name = Literal["embedded"] | Architecture


@dataclass(frozen=True, slots=True)
class Footage:
    """Clips to track."""

    num_clips: int
    num_rendered: int
    num_frames: int
    area_px: int


@dataclass(frozen=True, slots=True)
class Race:
    """Model and number of objects that systems are compared with."""

    model: Name
    num_objects: int
    lanes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Load:
    """Attention to memories of one layer in one step."""

    num_objects: int
    num_memories: int
    is_ragged: bool
    """True: half of the objects lack half of the memories."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes of all parts, the most wanted first, because time may end."""

    device: str
    size_px: int
    """Side of the images of SAM 2.1."""
    precision: Precision
    """Precision of the systems whose speed is compared."""
    generates_code: bool
    compiles_all: bool
    """False: only the first part and `vos_optimized` compile; tracing takes a CPU half a minute."""
    footage: Footage
    frames_by_lanes: dict[int, int]
    """Frames a clip in a pass; more lanes need fewer for as long a pass."""
    num_warm_up_frames: int
    num_checked_frames: int
    num_rounds: int
    tried: tuple[Name, ...]
    races: tuple[Race, ...]
    kernels: tuple[str, ...]
    """Kernels for the attention to memories."""
    attended: tuple[Load, ...]
    """Loads of that attention."""
    saving_model: Name
    """Model with which each saving is measured."""
    saving_lanes: int
    profiled: tuple[Name, ...]
    profiled_lanes: int
    profiled_frames: int
    flops_frames: int
    """Long enough that the last frame reads all memories."""
    long_frames: int
    short_frames: int
    long_lanes: int
    """Lanes of the second comparison of long and short clips."""
    long_lane_frames: int
    scarce: Race
    """Model and objects that are tracked while memory is scarce."""
    job: tuple[Name, ...]
    job_lanes: int
    job_shots: int
    job_frames: int
    embedded_px: int | None = None
    """Side of the images of the embedded model; None: its own."""

    def model(self, name: Name, folder: Path) -> Model:
        """Return a model; SAM 2.1 with random weights, written to `folder`."""
        if name != "embedded":
            return random_model(folder, name, self.size_px)
        return embedded() if self.embedded_px is None else embedded_for(folder, self.embedded_px)

    def engine(self, model: Model, lanes: int) -> Spec:
        """Return the engine as it is compared."""
        return Spec(
            "engine",
            model,
            self.device,
            self.precision,
            lanes,
            compile_steps=self.compiles_all,
            generates_code=self.generates_code,
        )

    def official(self, model: Model, precision: Precision) -> Spec:
        """Return the official predictor, eager."""
        return Spec("official", model, self.device, precision)

    def vos_optimized(self, model: Model) -> Spec:
        """Return the official predictor, compiled by its own option."""
        return Spec(
            "vos_optimized",
            model,
            self.device,
            self.precision,
            generates_code=self.generates_code,
        )


_LANES = (1, 4, 16, 64)
ON_GPU = Plan(
    device="cuda",
    size_px=1024,
    precision="bfloat16",
    generates_code=True,
    compiles_all=True,
    footage=Footage(num_clips=2, num_rendered=48, num_frames=200, area_px=1920 * 1080),
    frames_by_lanes={1: 200, 4: 200, 16: 100, 64: 48},
    num_warm_up_frames=24,
    num_checked_frames=24,
    num_rounds=3,
    tried=("embedded", "tiny"),
    races=(
        Race("tiny", 1, _LANES),
        Race("large", 1, _LANES),
        Race("tiny", MAX_OBJECTS, _LANES),
        Race("base+", 1, _LANES),
        Race("small", 1, _LANES),
        Race("large", MAX_OBJECTS, _LANES),
        Race("base+", MAX_OBJECTS, _LANES),
        Race("small", MAX_OBJECTS, _LANES),
    ),
    kernels=tuple(kernel.name for kernel in KERNELS),
    attended=(
        Load(1, 7, is_ragged=False),
        Load(16, 7, is_ragged=False),
        Load(16, 7, is_ragged=True),
        Load(64, 7, is_ragged=False),
        Load(64, 7, is_ragged=True),
    ),
    saving_model="tiny",
    saving_lanes=16,
    profiled=("tiny", "large"),
    profiled_lanes=16,
    profiled_frames=40,
    flops_frames=24,
    long_frames=5_000,
    short_frames=100,
    long_lanes=64,
    long_lane_frames=500,
    scarce=Race("tiny", MAX_OBJECTS, (64,)),
    job=("tiny", "embedded"),
    job_lanes=16,
    job_shots=32,
    job_frames=100,
)
ON_CPU = Plan(
    device="cpu",
    size_px=64,
    embedded_px=128,
    precision="float32",
    generates_code=False,
    compiles_all=False,
    footage=Footage(num_clips=2, num_rendered=6, num_frames=8, area_px=240 * 136),
    frames_by_lanes={1: 6, 2: 6},
    num_warm_up_frames=3,
    num_checked_frames=6,
    num_rounds=2,
    tried=("embedded",),
    races=(Race("tiny", 2, (1, 2)),),
    # Those that there are without a GPU.
    kernels=("torch's choice", "Flash", "flex"),
    attended=(Load(2, 2, is_ragged=False), Load(2, 2, is_ragged=True)),
    saving_model="embedded",
    saving_lanes=2,
    profiled=("embedded",),
    profiled_lanes=2,
    profiled_frames=6,
    flops_frames=8,
    long_frames=60,
    short_frames=20,
    long_lanes=2,
    long_lane_frames=30,
    scarce=Race("embedded", 2, (2,)),
    job=("embedded",),
    job_lanes=2,
    job_shots=4,
    job_frames=8,
)
