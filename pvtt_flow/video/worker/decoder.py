"""Run functions of `video` on files named by uri: in this process, or in a worker process.

Functions of `video` take an open file. A decoder takes a uri instead, opens it where the function
runs, and passes on the other arguments:

    with closing(decoder.iterate(read_frames, uri, limits=limits)) as frames:
        for frame in frames: ...
    video = decoder.call(probe, uri, size_bytes=size_bytes, limits=limits)
"""

from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager
from typing import Any, BinaryIO, Concatenate, ParamSpec, Protocol, TypeVar, cast

from pvtt_flow.storage.streams import open_binary
from pvtt_flow.storage.uris import normalize_uri
from pvtt_flow.video.worker.pool import ProcessPool
from pvtt_flow.video.worker.protocol import DecodeJob, limits_of

P = ParamSpec("P")
T = TypeVar("T")


class Decoder(Protocol):
    """Runs functions on videos."""

    def iterate(
        self,
        function: Callable[Concatenate[BinaryIO, P], Generator[T]],
        uri: str,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Generator[T]:
        """Yield the items of `function(file, …)`; closing the iterator closes the file.

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
        """Return the result of `function(file, …)`; raises like `iterate`."""
        ...


class InProcessDecoder:
    """Decodes in this process: starts nothing, and breakpoints work."""

    def iterate(
        self,
        function: Callable[Concatenate[BinaryIO, P], Generator[T]],
        uri: str,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Generator[T]:
        """See `Decoder`."""
        with _open(uri, kwargs) as file:
            yield from function(file, *args, **kwargs)

    def call(
        self,
        function: Callable[Concatenate[BinaryIO, P], T],
        uri: str,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """See `Decoder`."""
        with _open(uri, kwargs) as file:
            return function(file, *args, **kwargs)


def _open(uri: str, kwargs: Mapping[str, Any]) -> AbstractContextManager[BinaryIO]:
    return open_binary(uri, max_bytes=limits_of(kwargs).max_bytes)


class IsolatedDecoder:
    """Decodes in worker processes, so that a crash or a hang in FFmpeg costs one video.

    Functions, arguments and results are pickled; frames return through shared memory. The worker
    adds a `timer` to the keyword arguments, so the function must accept one. Also raises DataError
    of kind `decoder_crash`, and `over_limit` for `frame_timeout_s`.
    """

    def __init__(self, pool: ProcessPool, *, anonymous: bool = False) -> None:
        """Take worker processes from `pool`; most callers pass `SHARED_POOL`.

        `anonymous` reads public buckets without credentials.
        """
        self._pool = pool
        self._anonymous = anonymous

    def iterate(
        self,
        function: Callable[Concatenate[BinaryIO, P], Generator[T]],
        uri: str,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Generator[T]:
        """See `Decoder`; decodes a few frames ahead."""
        job = DecodeJob(function, normalize_uri(uri), args, kwargs, anonymous=self._anonymous)
        yield from self._run(job)

    def call(
        self,
        function: Callable[Concatenate[BinaryIO, P], T],
        uri: str,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """See `Decoder`."""
        job = DecodeJob(
            function,
            normalize_uri(uri),
            args,
            kwargs,
            iterates=False,
            anonymous=self._anonymous,
        )
        (result,) = self._run(job)
        return cast("T", result)

    def _run(self, job: DecodeJob) -> Generator[Any]:
        with self._pool.borrow() as process:
            yield from process.run(job)
