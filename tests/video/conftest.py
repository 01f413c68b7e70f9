import functools
from collections.abc import Callable
from pathlib import Path

import pytest

from pvtt_flow.video import read
from tests.video.clip_maker import write_clip
from tests.video.clips import CLIPS, NumberedClip


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clip of 48 frames at 25 per second."""
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", 48)


@pytest.fixture(scope="session")
def clip_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], NumberedClip]:
    """Function that returns the clip of a name, written on first use."""
    return functools.cache(lambda name: CLIPS[name].write(tmp_path_factory.mktemp("clip")))


@pytest.fixture
def always_seek(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seek over gaps of any size, so that short clips suffice."""
    monkeypatch.setattr(read, "_MIN_SEEK_FRAMES", 0)
