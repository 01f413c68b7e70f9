"""Frames of a source, as the dataset knows it."""

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, TypeAlias

from pvtt_flow.core.timeline import FrameTime
from pvtt_flow.errors import DataError
from pvtt_flow.storage.listing import stat_all
from pvtt_flow.storage.streams import open_binary
from pvtt_flow.storage.uris import redact_uri
from pvtt_flow.types import Frame
from pvtt_flow.video.read import read_frames_at_times

Locate: TypeAlias = Callable[[str], str]
"""From a source's uri in the dataset to where it is now."""


def frames_of(
    source: Mapping[str, Any], wanted: Sequence[FrameTime], locate: Locate | None
) -> Generator[Frame]:
    """The frames of a source (`uri`, `etag`, `size_bytes`) at some times, in order, as asked for.

    Raises DataError of kind `source_changed` when the file is not the one that the masks are of,
    and what `open_binary` and `read_frames_at_times` raise.
    """
    uri = locate(source["uri"]) if locate else source["uri"]
    check_same(uri, source)
    with open_binary(uri) as file:
        yield from read_frames_at_times(file, wanted)


def check_same(uri: str, source: Mapping[str, Any]) -> None:
    """Raise DataError of kind `source_changed` when at `uri` is not what was processed."""
    found = stat_all([uri])[0]
    if not found.etag:
        return  # opening it says why
    # A copy has an etag of its own, and so has what was told by its content.
    same_place = uri == source["uri"] and not source["etag"].startswith("blake2b:")
    if found.size_bytes != source["size_bytes"] or (same_place and found.etag != source["etag"]):
        raise DataError(
            "source_changed",
            f"{redact_uri(uri)}: expected the video that was processed ({source['size_bytes']} "
            f"bytes, etag {source['etag']}), but found {found.size_bytes} bytes, etag "
            f"{found.etag}: run pvtt_flow on it again, or bring the earlier file back",
        )
