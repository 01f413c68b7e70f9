"""Where videos of the input are decoded: in this process, or in one apart.

Functions of `media` take an open file. Here they are told a uri instead, and run where the file is
opened:

    with closing(decoder.iterate(read_frames, uri, limits=limits)) as frames:
        for frame in frames: ...
    video = decoder.call(probe, uri, size_bytes=size_bytes, limits=limits)
"""

from collections.abc import Callable, Generator
from typing import Any, BinaryIO, Concatenate, ParamSpec, Protocol, TypeVar, cast

from pvtt_flow.storage.streams import open_binary
from pvtt_flow.storage.uris import normalize_uri
from pvtt_flow.video.worker.pool import ProcessPool
from pvtt_flow.video.worker.protocol import DecodeJob

P = ParamSpec("P")
T = TypeVar("T")

# Each is a process of some 60 MB that decodes a video; more shots than that wait for their turn.
_MAX_CHILDREN = 32
# Of the whole process, so that one task's children are there for the next task.
_POOL = ProcessPool(_MAX_CHILDREN)


class Decoder(Protocol):
    """Runs functions on videos."""

    def iterate(
        self,
        function: Callable[Concatenate[BinaryIO, P], Generator[T]],
        uri: str,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Generator[T]:
        """What `function(file, …)` yields; the file is closed with the iterator.

        Raises what the function raises, and what `open_binary` raises.
        """
        ...

    def call(
        self,
        function: Callable[Concatenate[BinaryIO, P], T],
        uri: str,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """What `function(file, …)` returns; raises likewise."""
        ...


class InProcessDecoder:
    """Decodes in this process: nothing is started, and breakpoints work."""

    def iterate(
        self,
        function: Callable[Concatenate[BinaryIO, P], Generator[T]],
        uri: str,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Generator[T]:
        """See `Decoder`."""
        with open_binary(uri) as file:
            yield from function(file, *args, **kwargs)

    def call(
        self,
        function: Callable[Concatenate[BinaryIO, P], T],
        uri: str,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """See `Decoder`."""
        with open_binary(uri) as file:
            return function(file, *args, **kwargs)


class IsolatedDecoder:
    """Decodes in processes apart, so that a crash or a hang in FFmpeg costs one video.

    Functions, arguments and results are pickled; frames come through shared memory. Also raises
    DataError of kind `decoder_crash`, and `over_limit` for `frame_timeout_s`.
    """

    def __init__(self, pool: ProcessPool = _POOL) -> None:
        self._pool = pool

    def iterate(
        self,
        function: Callable[Concatenate[BinaryIO, P], Generator[T]],
        uri: str,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Generator[T]:
        """See `Decoder`; decodes a few frames ahead."""
        yield from self._items(DecodeJob(function, normalize_uri(uri), args, kwargs))

    def call(
        self,
        function: Callable[Concatenate[BinaryIO, P], T],
        uri: str,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """See `Decoder`."""
        (result,) = self._items(
            DecodeJob(function, normalize_uri(uri), args, kwargs, iterates=False)
        )
        return cast("T", result)

    def _items(self, job: DecodeJob) -> Generator[Any]:
        with self._pool.child() as child:
            yield from child.run(job)
