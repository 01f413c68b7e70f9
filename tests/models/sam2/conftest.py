import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from pvtt_flow.models import checkpoints
from pvtt_flow.models.sam2.official import build_predictor
from tests.models.sam2.pair import Pair, make_pair, perturb


@pytest.fixture(scope="module", autouse=True)
def _one_thread(one_thread: None) -> None:
    """Run each test of this folder on one thread."""


@pytest.fixture(scope="module", autouse=True)
def _own_graphs() -> Iterator[None]:
    """Forget the graphs of a file: a process has at most eight of one function, of all models."""
    yield
    if "torch._dynamo" in sys.modules:
        torch.compiler.reset()


@pytest.fixture(scope="session")
def embedded(config: Path) -> Pair:
    """Trained model of the package."""
    weights = checkpoints.embedded_file("sam2_embedded.pt")
    return make_pair(build_predictor(weights, config, torch.device("cpu")))


@pytest.fixture(scope="session")
def untrained(config: Path) -> Pair:
    """Embedded architecture with random weights."""
    torch.manual_seed(0)
    return make_pair(perturb(build_predictor(None, config, torch.device("cpu"))))


@pytest.fixture(params=["embedded", "untrained"])
def each_model(request: pytest.FixtureRequest) -> Pair:
    pair: Pair = request.getfixturevalue(request.param)
    return pair
