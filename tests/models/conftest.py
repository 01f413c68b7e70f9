from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from pvtt_flow.models import checkpoints
from pvtt_flow.models.sam2.official import build_predictor
from tests.models.sam2.small_predictor import small_config


@pytest.fixture(scope="session")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Embedded architecture for images of 128 px, which cost a fifth of those that it has."""
    embedded = checkpoints.embedded_file("sam2_embedded.yaml")
    return small_config(embedded, tmp_path_factory.mktemp("config"), 128)


@pytest.fixture(scope="session")
def random_weights(tmp_path_factory: pytest.TempPathFactory, config: Path) -> Path:
    """State dict of the embedded architecture with random weights."""
    path = tmp_path_factory.mktemp("weights") / "random.pt"
    torch.manual_seed(0)
    torch.save({"model": build_predictor(None, config, torch.device("cpu")).state_dict()}, path)
    return path


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Limit torch to one thread: with images of 128 px more threads take several times as long."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
