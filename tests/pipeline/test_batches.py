import itertools
import threading
from collections.abc import Iterator

import pytest

from pvtt_flow.pipeline import batches
from pvtt_flow.pipeline.batches import batches_with_timeout

SOON_S = 0.02
# For what must happen: a bound for a stuck test, never waited for.
LONG_S = 30.0


def nothing() -> None:
    """Cancel a stream that looks at no cancellation."""


def test_batches_come_in_order_and_end() -> None:
    assert list(batches_with_timeout([[1], [2, 3]], LONG_S, nothing)) == [[1], [2, 3]]
    assert list(batches_with_timeout([], LONG_S, nothing)) == []


def test_an_empty_batch_comes_at_each_timeout() -> None:
    go_on = threading.Event()

    def slow() -> Iterator[list[int]]:
        yield [1]
        assert go_on.wait(LONG_S)
        yield [2]

    stream = batches_with_timeout(slow(), SOON_S, nothing)
    assert next(stream) == [1]
    assert next(stream) == []
    assert next(stream) == []
    go_on.set()
    assert next(batch for batch in stream if batch) == [2]
    assert [batch for batch in stream if batch] == []


def test_an_error_follows_the_items_before_it() -> None:
    def breaks() -> Iterator[list[int]]:
        yield [1]
        raise RuntimeError("a node died")

    stream = batches_with_timeout(breaks(), LONG_S, nothing)
    assert next(stream) == [1]
    with pytest.raises(RuntimeError, match="a node died"):
        next(stream)


def test_the_reader_stops_when_the_consumer_stops() -> None:
    num_read = itertools.count()
    last_read = 0

    def endless() -> Iterator[list[int]]:
        nonlocal last_read
        for last_read in num_read:
            yield [last_read]

    stream = batches_with_timeout(endless(), LONG_S, nothing)
    assert next(stream) == [0]
    reader = next(t for t in threading.enumerate() if t.name == "batches")
    stream.close()
    reader.join(LONG_S)
    assert not reader.is_alive()
    assert last_read < 50, "what is read does not run far ahead of what is taken"


def test_a_stream_that_waits_is_cancelled_and_its_end_is_waited_for() -> None:
    cancelled, ended = threading.Event(), []

    def waits() -> Iterator[list[int]]:
        yield [1]
        assert cancelled.wait(LONG_S)
        ended.append("ended")
        raise RuntimeError("cancelled")

    stream = batches_with_timeout(waits(), LONG_S, cancelled.set)
    assert next(stream) == [1]
    stream.close()
    assert ended == ["ended"]


def test_a_stream_that_cannot_end_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "_STUCK_TIMEOUT_S", 0.0)
    go_on, asked = threading.Event(), []

    def hangs() -> Iterator[list[int]]:
        yield [1]
        assert go_on.wait(LONG_S)

    def can_end() -> bool:
        """Lose what it could end with, once it has been asked for the third time."""
        asked.append("can it end?")
        return len(asked) < 3

    stream = batches_with_timeout(hangs(), LONG_S, nothing, can_end)
    assert next(stream) == [1]
    reader = next(t for t in threading.enumerate() if t.name == "batches")
    stream.close()
    assert len(asked) == 3
    assert reader.is_alive()
    go_on.set()
    reader.join(LONG_S)
