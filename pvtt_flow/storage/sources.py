"""From `$.input` to the list of videos to account for."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from pvtt_flow.core import ids
from pvtt_flow.errors import DataError
from pvtt_flow.storage.frame_folders.folders import FrameFolder, parse_frame_folder, strip_fps
from pvtt_flow.storage.listing import list_videos, stat_all
from pvtt_flow.storage.manifest import Entry, is_manifest, read_manifest
from pvtt_flow.storage.params import InputParams
from pvtt_flow.storage.streams import open_binary
from pvtt_flow.storage.uris import normalize_uri, redact_uri
from pvtt_flow.types import Source

_HASH_THREADS = 4
_HASH_BLOCK_BYTES = 1 << 20


def list_sources(params: InputParams) -> list[Source]:
    """Every video that the input names, sorted by uri; a manifest's in its own order.

    Empty files are listed like any other. An object that a manifest names but that cannot be
    seen is listed with etag "" and size 0: opening it fails with DataError("unreadable"), which
    becomes its row, and the etag it gets when it appears makes it a changed video.
    Raises PreflightError when the input cannot be listed, ConfigError for a bad manifest.
    """
    input_uri = redacted_input_uri(params)
    if is_manifest(params.uri):
        sources = _from_manifest(params, input_uri)
    else:
        frames_fps = params.frames_fps if params.frame_folders else None
        sources = [
            Source(
                video_id=ids.video_id(strip_fps(found.uri)),
                uri=found.uri,
                etag=found.etag,
                size_bytes=found.size_bytes,
                input_uri=input_uri,
            )
            for found in list_videos(params.uri, params.extensions, frames_fps=frames_fps)
        ]
    return _hashed(sources) if params.identity == "content" else sources


def redacted_input_uri(params: InputParams) -> str:
    """What the dataset remembers of where its videos were found."""
    return redact_uri(normalize_uri(params.uri))


def _from_manifest(params: InputParams, input_uri: str) -> list[Source]:
    entries = read_manifest(params.uri)
    found = stat_all([_uri_of(entry, params.frames_fps) for entry in entries])
    return [
        Source(
            video_id=entry.video_id,
            uri=object_.uri,
            etag=object_.etag,
            size_bytes=object_.size_bytes,
            prompts=entry.prompts,
            shots=entry.shots,
            input_uri=input_uri,
        )
        for entry, object_ in zip(entries, found, strict=True)
    ]


def _uri_of(entry: Entry, frames_fps: float) -> str:
    """Of the video; a folder whose row tells no rate has the usual one."""
    if entry.uri.endswith("/"):
        return FrameFolder(entry.uri.rstrip("/"), frames_fps).uri
    frames = parse_frame_folder(entry.uri)
    return frames.uri if frames else entry.uri


def _hashed(sources: list[Source]) -> list[Source]:
    with ThreadPoolExecutor(_HASH_THREADS) as pool:
        hashes = pool.map(_content_hash, [source.uri for source in sources])
        return [replace(source, etag=etag) for source, etag in zip(sources, hashes, strict=True)]


def _content_hash(uri: str) -> str:
    """BLAKE2b of all bytes; empty when they cannot be read, like the etag of a missing object."""
    state = hashlib.blake2b(digest_size=16)
    try:
        with open_binary(uri) as stream:
            while block := stream.read(_HASH_BLOCK_BYTES):
                state.update(block)
    except DataError:
        return ""
    return f"blake2b:{state.hexdigest()}"
