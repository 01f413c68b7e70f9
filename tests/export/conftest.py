"""Dataset of real videos for all tests of this folder."""

import pytest

from tests.export.odd_dataset import OddDataset, make_odd_dataset
from tests.readers.sample_dataset import Processed, processed


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Processed:
    """Not to be changed."""
    return processed(tmp_path_factory.mktemp("exported"))


@pytest.fixture(scope="session")
def odd(tmp_path_factory: pytest.TempPathFactory) -> OddDataset:
    """Not to be changed."""
    return make_odd_dataset(tmp_path_factory.mktemp("odd"))
