"""A video at which the decoder dies or hangs is a row with its reason, whatever stage it is in."""

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from pvtt_flow.core.products import DetectParams
from pvtt_flow.core.shots import ShotParams
from pvtt_flow.core.timeline import EVERY_FRAME
from pvtt_flow.stages.detect import Detect
from pvtt_flow.stages.inspect import Inspect
from pvtt_flow.stages.propagate import Propagate
from pvtt_flow.types import ShotRecord
from pvtt_flow.video.limits import Limits
from pvtt_flow.video.worker.decoder import IsolatedDecoder
from pvtt_flow.video.worker.pool import ProcessPool
from tests.stages.fakes import FakeDetector, FakeTracker, box_prompt, inspected, prompted, record_of
from tests.video.clip_maker import write_clip
from tests.video.worker.hostile import crash, hang

LIMITS = Limits()
# Of the hostile video: a frame of another one may take longer on a busy machine.
SHORT = Limits(frame_timeout_s=1)
BOX = (20, 10, 26, 20)
NUM_FRAMES = 5


class Hostile(IsolatedDecoder):
    """Does something else with the videos called `hostile`."""

    def __init__(self, pool: ProcessPool, instead: Callable[..., Any]) -> None:
        super().__init__(pool)
        self._instead = instead

    def iterate(self, function: Any, uri: str, *args: Any, **kwargs: Any) -> Generator[Any]:
        function, kwargs = self._chosen(function, uri, kwargs)
        return super().iterate(function, uri, *args, **kwargs)

    def call(self, function: Any, uri: str, *args: Any, **kwargs: Any) -> Any:
        function, kwargs = self._chosen(function, uri, kwargs)
        return super().call(function, uri, *args, **kwargs)

    def _chosen(self, function: Any, uri: str, kwargs: dict[str, Any]) -> tuple[Any, Any]:
        if Path(uri).stem != "hostile":
            return function, kwargs
        return self._instead, kwargs | ({"limits": SHORT} if "limits" in kwargs else {})


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPool]:
    pool = ProcessPool(2)
    yield pool
    pool.close()


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("clips")
    return [write_clip(folder / f"{name}.mp4", NUM_FRAMES) for name in ("hostile", "mug")]


@pytest.mark.parametrize(
    ("instead", "kind", "words"),
    [(crash, "decoder_crash", "died of SIGSEGV"), (hang, "over_limit", "(frame_timeout_s)")],
)
def test_one_row_fails(
    pool: ProcessPool, clips: list[Path], instead: Callable[..., Any], kind: str, words: str
) -> None:
    decoder = Hostile(pool, instead)
    boxed = [prompted(path, box_prompt(0, BOX)) for path in clips]
    detector = FakeDetector((BOX, 0.9, "cup"))
    done = {
        "inspect": Inspect(ShotParams(), LIMITS, decoder)([record_of(path) for path in clips]),
        "detect": Detect(detector, DetectParams(), EVERY_FRAME, LIMITS, decoder)(
            [inspected(path) for path in clips]
        ),
        "propagate": Propagate(FakeTracker(lambda *_: BOX), EVERY_FRAME, LIMITS, decoder)(boxed),
    }
    for stage, (hostile, mug) in done.items():
        assert hostile.failure is not None, stage
        assert (hostile.failure.stage, hostile.failure.kind) == (stage, kind)
        assert words in hostile.failure.message
        assert hostile.failure.traceback is None
        assert mug.failure is None, stage
    assert_complete(done["propagate"][1])


def assert_complete(record: ShotRecord) -> None:
    assert record.num_frames == NUM_FRAMES
    assert len(record.masklets[0].frames) == NUM_FRAMES
