"""What comes out of a decoder process is what decoding here gives, to the bit."""

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
NUM_CHILDREN = 3


@pytest.fixture(scope="module")
def isolated() -> Iterator[IsolatedDecoder]:
    pool = ProcessPool(NUM_CHILDREN)
    yield IsolatedDecoder(pool)
    pool.close()


def to_the_break(frames: Generator[Frame]) -> tuple[list[Frame], str]:
    """The frames, and what the error says after them."""
    found = []
    try:
        for frame in frames:
            found.append(frame)  # noqa: PERF402 (those before an error count)
    except TruncatedVideoError as error:
        return found, f"{error.frame_index} {error}"
    return found, ""


def assert_same(ones: Sequence[Frame], others: Sequence[Frame]) -> None:
    assert len(ones) == len(others) > 0
    for one, other in zip(ones, others, strict=True):
        assert (one.frame_index, one.pts_ns) == (other.frame_index, other.pts_ns)
        assert np.array_equal(one.rgb, other.rgb)


@pytest.mark.parametrize("name", SAMPLES)
def test_every_frame_of_the_samples(isolated: IsolatedDecoder, name: str) -> None:
    # All are kept to the end: none may be written over while someone has it.
    here, there = (
        to_the_break(decoder.iterate(read_frames, str(sample(name))))
        for decoder in (InProcessDecoder(), isolated)
    )
    assert_same(here[0], there[0])
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
    ids=["sampled", "some", "known"],
)
def test_every_way_to_read(
    isolated: IsolatedDecoder, read: Callable[[Decoder, str], Generator[Frame]]
) -> None:
    uri = str(sample("one_product.mp4"))
    assert_same(list(read(InProcessDecoder(), uri)), list(read(isolated, uri)))


def times(uri: str) -> list[FrameTime]:
    return [
        FrameTime(f.frame_index, f.pts_ns) for f in InProcessDecoder().iterate(read_frames, uri)
    ]


def test_the_facts(isolated: IsolatedDecoder) -> None:
    path = sample("two_products.mp4")
    here, there = (
        decoder.call(probe, str(path), size_bytes=path.stat().st_size)
        for decoder in (InProcessDecoder(), isolated)
    )
    assert here == there


def test_another_size_of_frames(isolated: IsolatedDecoder, tmp_path: Path) -> None:
    paths = [write_clip(tmp_path / f"{w}.mp4", 20, size_px=(w, 64)) for w in (96, 128, 96)]
    kept = [list(isolated.iterate(read_frames, str(path))) for path in paths]
    for path, frames in zip(paths, kept, strict=True):
        assert_same(frames, list(InProcessDecoder().iterate(read_frames, str(path))))


def test_a_kept_part_of_a_frame_stays(isolated: IsolatedDecoder) -> None:
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
        for name, found in zip(names, threads.map(read, names), strict=True):
            assert_same(expected[name], found)
        pids = set(threads.map(lambda _: isolated.call(get_pid, str(sample(names[0]))), range(16)))
    assert len(pids) <= NUM_CHILDREN
