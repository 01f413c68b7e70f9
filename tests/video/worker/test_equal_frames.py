"""Frames from a worker process equal frames decoded in this process, bit for bit."""

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from pvtt_flow.core.timeline import FrameTime, SamplingParams
from pvtt_flow.types import Frame
from pvtt_flow.video.decode import TruncatedVideoError
from pvtt_flow.video.probe import probe
from pvtt_flow.video.read import read_frames, read_frames_at_indices, read_frames_at_times
from pvtt_flow.video.worker.decoder import Decoder, InProcessDecoder, IsolatedDecoder
from pvtt_flow.video.worker.pool import ProcessPool
from tests.pipeline.runs import sample
from tests.video.clip_maker import write_clip
from tests.video.worker.hostile import get_pid

SAMPLES = sorted(path.name for path in sample("").glob("*.mp4"))
NUM_PROCESSES = 3


@pytest.fixture(scope="module")
def isolated() -> Iterator[IsolatedDecoder]:
    pool = ProcessPool(NUM_PROCESSES)
    yield IsolatedDecoder(pool)
    pool.close()


def read_until_truncation(frames: Generator[Frame]) -> tuple[list[Frame], str]:
    """Return the frames, and the message of the error after them."""
    frames_before_error = []
    try:
        for frame in frames:
            frames_before_error.append(frame)  # noqa: PERF402 (frames before an error are kept)
    except TruncatedVideoError as error:
        return frames_before_error, f"{error.frame_index} {error}"
    return frames_before_error, ""


def assert_frames_equal(actual_frames: Sequence[Frame], expected_frames: Sequence[Frame]) -> None:
    assert len(actual_frames) == len(expected_frames) > 0
    for actual, expected in zip(actual_frames, expected_frames, strict=True):
        assert (actual.frame_index, actual.pts_ns) == (expected.frame_index, expected.pts_ns)
        assert np.array_equal(actual.rgb, expected.rgb)


@pytest.mark.parametrize("name", SAMPLES)
def test_every_frame_of_the_samples(isolated: IsolatedDecoder, name: str) -> None:
    # All frames are kept to the end: none may be overwritten while it is referenced.
    here, there = (
        read_until_truncation(decoder.iterate(read_frames, str(sample(name))))
        for decoder in (InProcessDecoder(), isolated)
    )
    assert_frames_equal(here[0], there[0])
    assert here[1] == there[1]
    assert bool(there[1]) == (name == "truncated.mp4")


@pytest.mark.parametrize(
    "read",
    [
        lambda d, uri: d.iterate(
            read_frames, uri, start_frame=7, sampling=SamplingParams(stride=5)
        ),
        lambda d, uri: d.call(read_frames_at_indices, uri, [3, 40]).values(),
        lambda d, uri: d.iterate(read_frames_at_times, uri, times(uri)[30:40]),
    ],
    ids=["sampled", "at indices", "at times"],
)
def test_every_read_function(
    isolated: IsolatedDecoder, read: Callable[[Decoder, str], Generator[Frame]]
) -> None:
    uri = str(sample("one_product.mp4"))
    assert_frames_equal(list(read(InProcessDecoder(), uri)), list(read(isolated, uri)))


def times(uri: str) -> list[FrameTime]:
    return [
        FrameTime(f.frame_index, f.pts_ns) for f in InProcessDecoder().iterate(read_frames, uri)
    ]


def test_probe(isolated: IsolatedDecoder) -> None:
    path = sample("two_products.mp4")
    here, there = (
        decoder.call(probe, str(path), size_bytes=path.stat().st_size)
        for decoder in (InProcessDecoder(), isolated)
    )
    assert here == there


def test_a_change_of_frame_size(isolated: IsolatedDecoder, tmp_path: Path) -> None:
    paths = [write_clip(tmp_path / f"{w}.mp4", 20, size_px=(w, 64)) for w in (96, 128, 96)]
    kept = [list(isolated.iterate(read_frames, str(path))) for path in paths]
    for path, frames in zip(paths, kept, strict=True):
        assert_frames_equal(frames, list(InProcessDecoder().iterate(read_frames, str(path))))


def test_a_view_of_a_frame_keeps_its_slot(isolated: IsolatedDecoder) -> None:
    uri = str(sample("one_product.mp4"))
    first = next(isolated.iterate(read_frames, uri)).rgb[100:, :, 1]
    before = first.copy()
    for _ in range(2):
        assert len(list(isolated.iterate(read_frames, uri))) == 72
    assert np.array_equal(first, before)


def test_more_threads_than_processes(isolated: IsolatedDecoder) -> None:
    names = [SAMPLES[i % 2] for i in range(8)]
    expected = {
        n: list(InProcessDecoder().iterate(read_frames, str(sample(n)))) for n in set(names)
    }

    def read(name: str) -> list[Frame]:
        return list(isolated.iterate(read_frames, str(sample(name))))

    with ThreadPoolExecutor(8) as threads:
        for name, frames in zip(names, threads.map(read, names), strict=True):
            assert_frames_equal(expected[name], frames)
        pids = set(threads.map(lambda _: isolated.call(get_pid, str(sample(names[0]))), range(16)))
    assert len(pids) <= NUM_PROCESSES
