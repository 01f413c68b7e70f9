"""Compilation of the engine: what is compiled, when, and that masks stay equal."""

import copy
import warnings
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from pvtt_flow.models.sam2.attention_kernels import kernel_named
from pvtt_flow.models.sam2.compile import Compiler, padded_size
from pvtt_flow.models.sam2.model import Sam2
from pvtt_flow.models.sam2.scheduler import FrameResult, Scheduler
from pvtt_flow.models.sam2.warm_up import warm_up
from tests.models.sam2.compare import compare, outputs_by_object
from tests.models.sam2.float32_memories import float32_memories
from tests.models.sam2.pair import Pair
from tests.models.sam2.run_scheduler import run
from tests.models.sam2.shots import ON, Shot, box, clicks, shot, square_box

CPU = torch.device("cpu")
# Images, a step and its memories, each for a batch of one and for larger ones.
NUM_GRAPHS = 6


@pytest.fixture(autouse=True)
def _fresh_compiler() -> None:
    """Dynamo limits the graphs of a function, and counts those of all models of a process."""
    torch._dynamo.reset()


class OneCompiled(Compiler):
    """Compiler that traces all graphs, and generates code for one: steps of several objects."""

    def __init__(self) -> None:
        super().__init__(CPU, "eager")

    def _compile_graph(self, graph: torch.fx.GraphModule, inputs: list[Any]) -> Any:
        # After the three of a batch of one, and images.
        self._backend = "inductor" if self.num_graphs == 4 else "eager"
        return super()._compile_graph(graph, inputs)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("compiler", "kernel"),
    [
        (Compiler(CPU, "eager"), "torch's choice"),
        (Compiler(CPU, "eager"), "flex"),
        (OneCompiled(), "Flash"),
    ],
)
def test_a_ragged_job_compiles_nothing_after_the_warm_up(
    embedded: Pair, compiler: Compiler, kernel: str
) -> None:
    """Dynamo traces and guards for real."""
    model = Sam2(copy.deepcopy(embedded.official.predictor), compiler)
    model.kernels.use(kernel_named(kernel), kernel_named(kernel))
    shots = ragged()
    with float32_memories():
        with torch.inference_mode():
            warm_up(model, 4, torch.float32)
        assert compiler.num_graphs == NUM_GRAPHS
        results = run(model, shots, "both", scheduler=Scheduler(model, 4))
        for each, found in zip(shots, results, strict=True):
            compare(outputs_by_object(each, found), embedded.expected(each, "both")).check()
    assert (compiler.num_graphs, compiler.num_uncompiled_calls) == (NUM_GRAPHS, 0)


@pytest.mark.parametrize("kernel", ["torch's choice", "Flash"])
def test_masks_are_equal_in_the_shapes_that_are_compiled(
    embedded: Pair, monkeypatch: pytest.MonkeyPatch, kernel: str
) -> None:
    """Each read has its full number of memories and pointers, and one kernel attends for all."""
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    model = Sam2(copy.deepcopy(embedded.official.predictor), Compiler(CPU))
    model.kernels.use(kernel_named(kernel), kernel_named(kernel))
    Pair(model, embedded.official).difference(ragged(), "both").check()


def ragged() -> list[Shot]:
    """Shots with 1 to 3 objects, late starts, up to 3 conditioning frames, and corrections."""
    correction = (4, clicks(0, (30, 30, ON), correction=True))
    return [
        shot(20, square_box(0, 0)),
        shot(6, square_box(0, 2), (3, box(1, 50, 40, 70, 70)), square_box(2, 5)),
        shot(7, square_box(0, 0), square_box(0, 2), square_box(0, 5)),
        shot(8, square_box(0, 1), correction),
        shot(2, square_box(0, 0), (0, box(1, 50, 40, 70, 70))),
    ]


@pytest.mark.slow
def test_compiled_masks_in_bfloat16(embedded: Pair) -> None:
    """Compiled sums have another order: as close to eager ones as bfloat16 is to float32."""
    models = [
        Sam2(copy.deepcopy(embedded.official.predictor), compiler)
        for compiler in (None, OneCompiled())
    ]
    shots = ragged()[:3]
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        warm_up(models[1], 4, torch.bfloat16)
    eager, compiled = (run(model, shots, "both", bfloat16=True) for model in models)
    ious = mask_ious(shots, eager, compiled)
    assert len(ious) == 20 + 6 * 3 + 7
    assert float(torch.tensor(ious).median()) > 0.98
    compiler = models[1].compiler
    assert compiler is not None
    assert (compiler.num_graphs, compiler.num_uncompiled_calls) == (NUM_GRAPHS, 0)


def mask_ious(shots: Sequence[Shot], *runs: Sequence[Sequence[FrameResult]]) -> list[float]:
    ious: list[float] = []
    for each, *results in zip(shots, *runs, strict=True):
        first, second = (outputs_by_object(each, found) for found in results)
        for key, output in first.items():
            both = (output.mask & second[key].mask).sum()
            either = (output.mask | second[key].mask).sum()
            ious.append(float(both / either) if either else 1.0)
    return ious


def double(x: Tensor) -> tuple[Tensor, ...]:
    return (2 * x,)


def test_what_was_not_prepared_runs_uncompiled_and_is_counted() -> None:
    compiler = Compiler(CPU, "eager")
    run_double = compiler.compile(double)
    assert torch.equal(run_double(torch.ones(1, 3))[0], torch.full((1, 3), 2.0))
    assert torch.equal(run_double(torch.ones(2, 3))[0], torch.full((2, 3), 2.0))
    compiler.seal()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(run_double(torch.ones(7, 3))[0], torch.full((7, 3), 2.0))
    assert (compiler.num_graphs, compiler.num_uncompiled_calls) == (2, 0)
    other = torch.ones(4, 5)
    with pytest.warns(
        RuntimeWarning, match="double runs uncompiled, which is slower; set .* not prepared"
    ):
        assert torch.equal(run_double(other)[0], 2 * other)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(run_double(other)[0], 2 * other)
    assert (compiler.num_graphs, compiler.num_uncompiled_calls) == (2, 2)


def test_what_cannot_be_compiled_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts: list[int] = []

    def broken(x: Tensor) -> tuple[Tensor, ...]:
        attempts.append(len(x))
        raise RuntimeError("no compiler here")

    monkeypatch.setattr(torch, "compile", lambda *_, **__: broken)
    compiler = Compiler(CPU)
    run_double = compiler.compile(double)
    with pytest.warns(RuntimeWarning, match="double runs uncompiled, .* no compiler here"):
        assert torch.equal(run_double(torch.ones(1))[0], torch.full((1,), 2.0))
    compiler.seal()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for size in (2, 3):
            assert torch.equal(run_double(torch.ones(size))[0], torch.full((size,), 2.0))
    assert (attempts, compiler.num_uncompiled_calls) == ([1], 3)


def test_memory_that_runs_out_is_no_failure_of_the_compiler(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(_: Tensor) -> tuple[Tensor, ...]:
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(torch, "compile", lambda *_, **__: full)
    compiler = Compiler(CPU, "eager")
    with pytest.raises(torch.OutOfMemoryError, match="no room"):
        compiler.compile(double)(torch.ones(1))
    assert compiler.num_uncompiled_calls == 0


def test_padded_sizes_waste_at_most_a_quarter() -> None:
    sizes = sorted({padded_size(size) for size in range(1, 65)})
    assert sizes[:14] == [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24]
    assert len(sizes) == 20
    for size in range(1, 65):
        assert 0 <= padded_size(size) - size <= size / 4
