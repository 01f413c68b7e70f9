import functools
from collections.abc import Callable
from pathlib import Path

import pytest

from pvtt_flow.video import read
from tests.video.clip_maker import write_clip
from tests.video.clips import CLIPS, Clip


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 frames at 25 a second."""
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", 48)


@pytest.fixture(scope="session")
def clip_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Clip]:
    """The clip of that name, made when it is first asked for."""
    return functools.cache(lambda name: CLIPS[name].made(tmp_path_factory.mktemp("clip")))


@pytest.fixture
def always_seek(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seeks whenever there is something to step over, so that short clips show it."""
    monkeypatch.setattr(read, "_MIN_SEEK_FRAMES", 0)
