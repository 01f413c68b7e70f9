"""Frames of a source video, which must still have the content that was processed."""

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, TypeAlias

from pvtt_flow.core.timeline import FrameTime
from pvtt_flow.errors import DataError
from pvtt_flow.storage.listing import stat
from pvtt_flow.storage.streams import open_binary
from pvtt_flow.storage.uris import redact_uri
from pvtt_flow.types import Frame
from pvtt_flow.video.read import read_frames_at_times

ResolveUri: TypeAlias = Callable[[str], str]
"""Function from a source's uri in the dataset to its present uri."""


def frames_of(
    source: Mapping[str, Any],
    wanted: Sequence[FrameTime],
    resolve_uri: ResolveUri | None,
    *,
    anonymous: bool = False,
) -> Generator[Frame]:
    """Decode the frames of a source (`uri`, `etag`, `size_bytes`) at some times, on demand.

    `anonymous` reads a public bucket without credentials.

    Raises DataError of kind `source_changed` if the file is not the one that was processed, and
    the errors of `open_binary` and `read_frames_at_times`.
    """
    uri = resolve_uri(source["uri"]) if resolve_uri else source["uri"]
    check_same(uri, source, anonymous=anonymous)
    with open_binary(uri, anonymous=anonymous) as file:
        yield from read_frames_at_times(file, wanted)


def check_same(uri: str, source: Mapping[str, Any], *, anonymous: bool = False) -> None:
    """Raise DataError of kind `source_changed` if `uri` has other content than was processed."""
    info = stat(uri, anonymous=anonymous)
    if info is None or not info.etag:
        return  # opening it raises the reason
    # A copy has another etag, and so has a file whose etag is a hash of its content.
    same_place = uri == source["uri"] and not source["etag"].startswith("blake2b:")
    if info.size_bytes != source["size_bytes"] or (same_place and info.etag != source["etag"]):
        raise DataError(
            "source_changed",
            f"{redact_uri(uri)} must be the video that was processed ({source['size_bytes']} "
            f"bytes, etag {source['etag']}), got {info.size_bytes} bytes, etag {info.etag}; "
            "process it again, or restore the earlier file",
        )
