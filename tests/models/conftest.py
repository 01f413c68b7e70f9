from pathlib import Path

import pytest
import torch

from pvtt_flow.models import checkpoints
from pvtt_flow.models.sam2_build import build_predictor


@pytest.fixture(scope="session")
def config() -> Path:
    return checkpoints.embedded_file("sam2_embedded.yaml")


@pytest.fixture(scope="session")
def random_weights(tmp_path_factory: pytest.TempPathFactory, config: Path) -> Path:
    """A state dict of the embedded architecture that nobody has trained."""
    path = tmp_path_factory.mktemp("weights") / "random.pt"
    torch.manual_seed(0)
    torch.save({"model": build_predictor(None, config, torch.device("cpu")).state_dict()}, path)
    return path
