from pathlib import Path

import pytest
from clip_maker import write_clip


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 frames at 25 a second."""
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", 48)
