"""Content hashes, by which a video is the same wherever and whenever it was stored."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from pvtt_flow.errors import DataError
from pvtt_flow.storage.streams import open_binary
from pvtt_flow.types import Source
from pvtt_flow.video.container import as_container
from pvtt_flow.video.limits import DEFAULT_LIMITS, Limits

_THREADS = 4
_BLOCK_BYTES = 1 << 20
_PREFIX = "blake2b:"


def with_content_hashes(sources: Sequence[Source], limits: Limits = DEFAULT_LIMITS) -> list[Source]:
    """Return the sources with hashes of their content as etags; reads every byte of them."""
    hashes = hash_contents([source.uri for source in sources], limits)
    return [replace(source, etag=etag) for source, etag in zip(sources, hashes, strict=True)]


def hash_contents(uris: Sequence[str], limits: Limits = DEFAULT_LIMITS) -> list[str]:
    """Return the hash of each video, "" for one that cannot be read."""
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(partial(content_hash, limits=limits), uris))


def hash_of_source(source: Source, limits: Limits = DEFAULT_LIMITS) -> str | None:
    """Return the hash of a video's content, which may be its etag; None if it cannot be read."""
    is_hash = source.etag.startswith(_PREFIX)
    return source.etag if is_hash else content_hash(source.uri, limits) or None


def content_hash(uri: str, limits: Limits = DEFAULT_LIMITS) -> str:
    """Return the BLAKE2b hash of all bytes that FFmpeg may see, for a folder the frame rate too.

    The hash is "" if they cannot be read, as the etag of an object that is missing.
    """
    state = hashlib.blake2b(digest_size=16)
    try:
        with open_binary(uri, max_bytes=limits.max_bytes) as file:
            container = as_container(file)
            while block := container.read(_BLOCK_BYTES):
                state.update(block)
    except DataError:
        return ""
    return f"{_PREFIX}{state.hexdigest()}"
