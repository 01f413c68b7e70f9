"""List the videos that `$.input` names."""

import logging
from collections.abc import Sequence

from pvtt_flow.core import ids
from pvtt_flow.storage.frame_folders.folders import FrameFolder, parse_frame_folder
from pvtt_flow.storage.listing import list_videos, stat_all
from pvtt_flow.storage.manifest import Entry, check_format, is_manifest, read_manifest
from pvtt_flow.storage.object_info import SIZE_ONLY
from pvtt_flow.storage.params import InputParams
from pvtt_flow.storage.uris import normalize_uri, redact_uri
from pvtt_flow.storage.video_names import name_in
from pvtt_flow.types import Source

_LOG = logging.getLogger(__name__)


def list_sources(params: InputParams) -> list[Source]:
    """List every video of the input, sorted by uri; the videos of a manifest in its order.

    Empty files are listed like any other. An object of a manifest that is missing or not permitted
    has etag "" and size 0: opening it fails with DataError("unreadable"), which becomes its row.
    When the object appears, it gets an etag and so counts as a changed video.
    Raises PreflightError if the input cannot be listed, and ConfigError for a bad manifest.
    """
    check_format(params.uri)
    input_uri = redacted_input_uri(params)
    listed = _from_manifest if is_manifest(params.uri) else _from_listing
    sources = listed(params, input_uri)
    if params.identity == "etag":
        _warn_of_sizes_only(sources)
    return sources


def _warn_of_sizes_only(sources: Sequence[Source]) -> None:
    blind = [source for source in sources if source.etag.startswith(f"{SIZE_ONLY}-")]
    if blind:
        _LOG.warning(
            "the store tells no ETag and no time of %d videos (first: %s): a change that keeps the "
            "size cannot be seen; set $.input.identity to content, which reads them",
            len(blind),
            redact_uri(blind[0].uri),
        )


def _from_listing(params: InputParams, input_uri: str) -> list[Source]:
    frames_fps = params.frames_fps if params.frame_folders else None
    root = normalize_uri(params.uri)
    return [
        Source(
            video_id=ids.video_id(name := name_in(root, video.uri)),
            name=name,
            uri=video.uri,
            etag=video.etag,
            size_bytes=video.size_bytes,
            input_uri=input_uri,
        )
        for video in list_videos(params.uri, params.extensions, frames_fps=frames_fps)
    ]


def redacted_input_uri(params: InputParams) -> str:
    """Return the input's uri as the dataset stores it: normalized, without secrets."""
    return redact_uri(normalize_uri(params.uri))


def _from_manifest(params: InputParams, input_uri: str) -> list[Source]:
    entries = read_manifest(params.uri)
    videos = stat_all([_video_uri(entry, params.frames_fps) for entry in entries])
    return [
        Source(
            video_id=entry.video_id,
            name=entry.name,
            uri=video.uri,
            etag=video.etag,
            size_bytes=video.size_bytes,
            prompts=entry.prompts,
            shots=entry.shots,
            add_products=entry.add_products,
            attributes=entry.attributes,
            input_uri=input_uri,
        )
        for entry, video in zip(entries, videos, strict=True)
    ]


def _video_uri(entry: Entry, frames_fps: float) -> str:
    """Return the video's uri; a folder of frames without a rate gets `frames_fps`."""
    if entry.uri.endswith("/"):
        return FrameFolder(entry.uri.rstrip("/"), frames_fps).uri
    frames = parse_frame_folder(entry.uri)
    return frames.uri if frames else entry.uri
