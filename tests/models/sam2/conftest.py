from pathlib import Path

import pytest
import torch

from pvtt_flow.models import checkpoints
from pvtt_flow.models.sam2.official import build_predictor
from tests.models.sam2.pair import Pair, pair, shaken


@pytest.fixture(scope="module", autouse=True)
def _quick(one_thread: None) -> None:
    """For every test of the engine."""


@pytest.fixture(scope="session")
def embedded(config: Path) -> Pair:
    """The trained model that the package comes with."""
    weights = checkpoints.embedded_file("sam2_embedded.pt")
    return pair(build_predictor(weights, config, torch.device("cpu")))


@pytest.fixture(scope="session")
def untrained(config: Path) -> Pair:
    """Its architecture with weights that nobody has trained."""
    torch.manual_seed(0)
    return pair(shaken(build_predictor(None, config, torch.device("cpu"))))


@pytest.fixture(params=["embedded", "untrained"])
def either(request: pytest.FixtureRequest) -> Pair:
    found: Pair = request.getfixturevalue(request.param)
    return found
