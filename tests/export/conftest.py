"""Dataset of real videos for all tests of this folder."""

import pytest

from tests.readers.sample_dataset import Processed, processed


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Processed:
    """Not to be changed."""
    return processed(tmp_path_factory.mktemp("exported"))
