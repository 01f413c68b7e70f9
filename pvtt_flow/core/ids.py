"""Readable, deterministic identities: the same input gets the same id on every machine."""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import PurePosixPath

_SLUG_MAX_CHARS = 48


def digest(text: str, num_hex: int = 16) -> str:
    """BLAKE2b of `text`, as `num_hex` hex digits."""
    return hashlib.blake2b(text.encode(), digest_size=32).hexdigest()[:num_hex]


def hash_of(values: Mapping[str, object]) -> str:
    """A digest of JSON-able values that does not depend on the order of keys."""
    return digest(json.dumps(values, sort_keys=True, separators=(",", ":")))


def video_id(uri: str) -> str:
    """The file's stem as a slug, plus 10 hex digits of the whole uri: `blue-mug-3f2a91c07b`."""
    stem = PurePosixPath(uri.rstrip("/")).stem.lower()
    slug = re.sub(r"[^a-z0-9]+", "-", stem).strip("-")[:_SLUG_MAX_CHARS].rstrip("-")
    return f"{slug or 'video'}-{digest(uri, 10)}"


def shot_id(video_id: str, index: int, start_frame: int) -> str:
    """`<video>/s<index>@<first frame>`: a shot moves when its interval does."""
    return f"{video_id}/s{index:04d}@{start_frame}"


def masklet_id(shot_id: str, object_id: int) -> str:
    """`<shot>/o<object>`."""
    return f"{shot_id}/o{object_id:03d}"
