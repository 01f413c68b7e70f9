"""Gain of each of the engine's exact savings: `python -m tests.bench.savings`.

Each is timed against the same step without it, in turn, on SAM 2.1 tiny at 256 px with full
memories (7 and 16 pointers), five objects on one frame. Seconds without over seconds with; the
largest difference of the results beside it. Prints a table, writes `savings.json` beside this file.
"""

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from pvtt_flow.models.sam2 import memory_attention, packed_linear
from pvtt_flow.models.sam2.attention_kernels import attend_by_object
from pvtt_flow.models.sam2.model import Sam2
from pvtt_flow.models.sam2.official import build_predictor
from pvtt_flow.models.sam2.packed_linear import PackedLinear
from pvtt_flow.models.sam2.tensors import ImageFeatures, MemoryContext
from tests.bench.compare import Spread
from tests.bench.machine import describe
from tests.bench.systems import tiny

OUTPUT = Path(__file__).with_name("savings.json")
NUM_OBJECTS, NUM_ROUNDS = 5, 25
Step = Callable[[], Tensor]


@dataclass(frozen=True, slots=True)
class Saving:
    """Measured saving."""

    name: str
    ratio: Spread
    without_ms: float
    with_ms: float
    max_difference: float
    """Largest difference of the results, relative to the largest value."""


class Bench:
    """Frame, its objects and their memories."""

    def __init__(self, predictor: Any) -> None:
        self.predictor = predictor
        self.sam2 = Sam2(predictor)
        generator = torch.Generator().manual_seed(0)
        size, tokens = self.sam2.size_px, self.sam2.grid_side**2
        self.images = torch.randint(256, (1, size, size, 3), generator=generator).to(torch.uint8)
        length = 7 * tokens + 16 * self.sam2.hidden_dim // self.sam2.memory_dim
        shape = (NUM_OBJECTS, length, self.sam2.memory_dim)
        values = torch.randn(shape, generator=generator)
        keys = values + torch.randn(shape, generator=generator) / 10
        self.context = MemoryContext(keys, values, 7 * tokens, None)
        self.features: ImageFeatures = self.sam2.encode_images(self.images)

    def follow(self) -> Tensor:
        """Compute it as the engine does."""
        each = [0] * NUM_OBJECTS
        frame_tokens = self.sam2.frame_tokens(self.features).select(each)
        return self.sam2.track_step(frame_tokens, self.features.select(each), self.context)[1]

    def follow_alone(self) -> Tensor:
        """Every object with a first layer of its own."""
        own = self.features.select([0] * NUM_OBJECTS)
        return self.sam2.track_step(self.sam2.frame_tokens(own), own, self.context)[1]

    def encode(self) -> Tensor:
        """Compute it as the engine does."""
        return self.sam2.encode_images(self.images).vision_features

    def encode_officially(self) -> Tensor:
        """With the same fast products, but on padded windows."""
        pixels = self.images.permute(0, 3, 1, 2).float() / 255
        pixels = (pixels - self.sam2._mean) / self.sam2._std
        top: Tensor = self.predictor.forward_image(pixels)["backbone_fpn"][-1]
        return top.flatten(2).transpose(1, 2)

    def layer(self) -> Any:
        """The second layer of memory attention: ours and the official one."""
        return self.sam2._memory_attention._layers[1], self.predictor.memory_attention.layers[1]


def main() -> None:
    """Measures all of them."""
    machine = describe("tests.bench.savings")
    with TemporaryDirectory() as folder, torch.inference_mode():
        config, cpu = tiny(Path(folder)).config, torch.device("cpu")
        bench = Bench(build_predictor(None, config, cpu))
        with patch.object(packed_linear, "_can_pack", lambda _: False):
            plain = Bench(build_predictor(None, config, cpu))
        plain.predictor.load_state_dict(bench.predictor.state_dict(), strict=False)
        savings = [
            _saving("packed products: encode", plain.encode, bench.encode, same=False),
            _saving("packed products: follow", plain.follow, bench.follow, same=False),
            _saving("nothing on padding: encode", bench.encode_officially, bench.encode),
            _saving("layer 0 once a frame: follow", bench.follow_alone, bench.follow),
            _products(bench),
            _absorbed(bench),
            _rotary(bench),
            _keys(bench),
        ]
    _show(savings)
    record = {"machine": machine, "savings": [asdict(s) for s in savings]}
    OUTPUT.write_text(json.dumps(record, indent=1) + "\n")


def _products(bench: Bench) -> Saving:
    """Measure a layer's read of memory: attention with products of oneDNN and of MKL."""
    queries = torch.randn(NUM_OBJECTS, bench.sam2.grid_side**2, bench.sam2.hidden_dim)
    keys = torch.randn(*bench.context.keys.shape[:2], bench.sam2.hidden_dim)
    values = bench.context.values
    empty, scale = queries.new_empty(1), 1 / math.sqrt(queries.shape[-1])

    def batched() -> Tensor:
        scores = torch.baddbmm(empty, queries, keys.transpose(1, 2), beta=0, alpha=scale)
        return torch.bmm(scores.softmax(-1), values)

    return _saving(
        "attention by oneDNN: one layer's",
        batched,
        lambda: attend_by_object(queries, keys, values, None),
    )


def _absorbed(bench: Bench) -> Saving:
    """Measure a layer's read of memory: values of Cm channels and values projected to C."""
    ours, official = bench.layer()
    cross = official.cross_attn_image
    value = PackedLinear(cross.v_proj.weight, cross.v_proj.bias)
    out = PackedLinear(cross.out_proj.weight, cross.out_proj.bias)
    tokens = torch.randn(NUM_OBJECTS, bench.sam2.grid_side**2, bench.sam2.hidden_dim)
    queries = ours.cross_attention_queries(tokens)
    context = bench.context

    def projected() -> Tensor:
        keys = _rotated(ours, ours._cross_key(context.keys), context.num_rotated)
        read: Tensor = tokens + out(attend_by_object(queries, keys, value(context.values), None))
        return read

    return _saving(
        "values absorbed: one layer's read",
        projected,
        lambda: ours.cross_attention(tokens, queries, context),
    )


def _rotary(bench: Bench) -> Saving:
    """Not in the engine: one layer's keys rotated in real numbers, pairs lying in two halves."""
    ours, _ = bench.layer()
    num_rotated, turns = bench.context.num_rotated, ours._key_freqs
    keys = ours._cross_key(bench.context.keys)
    cos, sin = turns.real.contiguous(), turns.imag.contiguous()

    def complex_numbers() -> Tensor:
        return _rotated(ours, keys, num_rotated)

    def real_numbers() -> Tensor:
        turned = torch.empty_like(keys)
        of, to = (y[:, :num_rotated].unflatten(1, (-1, len(cos))) for y in (keys, turned))
        a, b = of.chunk(2, dim=-1)
        torch.addcmul(a * cos, b, sin, value=-1, out=to[..., : a.shape[-1]])
        torch.addcmul(a * sin, b, cos, out=to[..., a.shape[-1] :])
        turned[:, num_rotated:] = keys[:, num_rotated:]
        return turned

    return _saving(
        "(not done) real rotation: one layer's keys", complex_numbers, real_numbers, same=False
    )


def _rotated(layer: Any, keys: Tensor, num_rotated: int) -> Tensor:
    return memory_attention.apply_rotary(keys, layer._key_freqs, num_rotated)


def _keys(bench: Bench) -> Saving:
    """Not in the engine: one layer's read if its keys were cached, against making them."""
    ours, _ = bench.layer()
    context = bench.context
    tokens = torch.randn(NUM_OBJECTS, bench.sam2.grid_side**2, bench.sam2.hidden_dim)
    queries = ours.cross_attention_queries(tokens)
    base = _rotated(ours, ours._cross_key(context.keys), context.num_rotated)
    aged = torch.zeros_like(base)

    def cached() -> Tensor:
        # A cached key still needs the term of its age, which changes on every frame.
        keys = base + aged
        read: Tensor = tokens + ours._cross_out(
            attend_by_object(queries, keys, context.values, None)
        )
        return read

    return _saving(
        "(not done) keys cached: one layer's read",
        lambda: ours.cross_attention(tokens, queries, context),
        cached,
    )


def _saving(name: str, delete_videos: Step, with_it: Step, *, same: bool = True) -> Saving:
    expected, found = delete_videos(), with_it()
    difference = float((expected - found).abs().max() / expected.abs().max()) if same else 0.0
    times: list[tuple[float, float]] = [
        (_seconds(delete_videos), _seconds(with_it)) for _ in range(NUM_ROUNDS)
    ]
    return Saving(
        name=name,
        ratio=Spread.of([before / after for before, after in times]),
        without_ms=1e3 * Spread.of([before for before, _ in times]).median,
        with_ms=1e3 * Spread.of([after for _, after in times]).median,
        max_difference=difference,
    )


def _seconds(step: Step) -> float:
    started = time.perf_counter()
    step()
    return time.perf_counter() - started


def _show(savings: list[Saving]) -> None:
    table = Table("saving", "without, ms", "with, ms", "ratio", "low", "high", "difference")
    for s in savings:
        row = [f"{s.without_ms:.1f}", f"{s.with_ms:.1f}"]
        row += [f"{r:.2f}" for r in (s.ratio.median, s.ratio.low, s.ratio.high)]
        table.add_row(s.name, *row, f"{s.max_difference:.0e}" if s.max_difference else "")
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
