"""The number of frames that a plan announces, and what it costs to learn it."""

from pathlib import Path

import pytest

from pvtt_flow.config.loading import load
from pvtt_flow.config.schema import RunConfig
from pvtt_flow.pipeline.estimate import estimate_frames
from pvtt_flow.types import Source
from tests.pipeline.runs import write_config
from tests.video.clip_maker import write_clip
from tests.video.counters import count_decoded_frames

NUM_FRAMES = 240


def config_with(folder: Path, *overrides: str) -> RunConfig:
    path = write_config(folder / "config.yaml", folder, folder / "dataset")
    # Decoded in this process, where the frames can be counted.
    return load(path, ["run.isolate_decoders=false", "sampling.stride=1", *overrides])


def source_of(path: Path, shots: tuple[tuple[int, int], ...] = ()) -> Source:
    size_bytes = path.stat().st_size
    return Source(video_id=path.stem, uri=str(path), etag="e", size_bytes=size_bytes, shots=shots)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Source]:
    """A small video of ten shots and a large one of one shot, of 240 frames each."""
    folder = tmp_path_factory.mktemp("videos")
    small = write_clip(folder / "small.mp4", NUM_FRAMES, size_px=(64, 64))
    large = write_clip(folder / "large.mp4", NUM_FRAMES, size_px=(192, 128))
    return [source_of(small, tuple((i, i + 24) for i in range(0, 240, 24))), source_of(large)]


def test_a_video_counts_once_however_many_shots_it_has(
    sources: list[Source], tmp_path: Path
) -> None:
    assert estimate_frames(config_with(tmp_path), sources) == 480


@pytest.mark.parametrize(
    ("sampling", "num_frames"), [("sampling.stride=3", 160), ("sampling.target_fps=5.0", 96)]
)
def test_the_estimate_follows_the_sampling(
    sources: list[Source], tmp_path: Path, sampling: str, num_frames: int
) -> None:
    assert estimate_frames(config_with(tmp_path, sampling), sources) == num_frames


def test_the_estimate_decodes_the_first_frame_of_a_video_only(
    sources: list[Source], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    num_decoded = count_decoded_frames(monkeypatch)
    estimate_frames(config_with(tmp_path), sources)
    assert num_decoded() == 2


def test_at_most_sixteen_videos_are_probed(
    sources: list[Source], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    num_decoded = count_decoded_frames(monkeypatch)
    assert estimate_frames(config_with(tmp_path), sources[:1] * 100) == 100 * NUM_FRAMES
    assert num_decoded() == 16


def test_videos_that_cannot_be_opened_are_left_out(sources: list[Source], tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video\n" * 10)
    config = config_with(tmp_path)
    assert estimate_frames(config, [source_of(text)]) is None
    num_bytes = sum(source.size_bytes for source in (*sources, source_of(text)))
    known_bytes = sum(source.size_bytes for source in sources)
    assert estimate_frames(config, [*sources, source_of(text)]) == round(
        480 * num_bytes / known_bytes
    )
    assert estimate_frames(config, []) == 0
