"""Readable, deterministic ids: one input has one id on every machine."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from unicodedata import category, normalize

_SLUG_MAX_CHARS = 48


def digest(text: str, num_hex: int = 16) -> str:
    """Return the first `num_hex` hex digits of the BLAKE2b digest of `text`."""
    return hashlib.blake2b(text.encode(), digest_size=32).hexdigest()[:num_hex]


def hash_of(values: Mapping[str, object]) -> str:
    """Return a digest of JSON-able values; the order of keys does not matter."""
    return digest(json.dumps(values, sort_keys=True, separators=(",", ":")))


def video_id(name: str) -> str:
    """Return the stem of a path or uri as a slug, and 10 hex digits: `blue-mug-3f2a91c07b`.

    A slug has letters, their marks and digits of every script, in lower case, and `-`. A name has
    one id however its accents are encoded (NFC or NFD).
    """
    name = normalize("NFC", name)
    stem = normalize("NFC", PurePosixPath(name.rstrip("/")).stem.lower())
    words = "".join(character if _is_of_word(character) else " " for character in stem).split()
    slug = "-".join(words)[:_SLUG_MAX_CHARS].rstrip("-")
    return f"{slug or 'video'}-{digest(name, 10)}"


def _is_of_word(character: str) -> bool:
    return character.isalnum() or category(character).startswith("M")


def shot_id(video_id: str, index: int, start_frame: int) -> str:
    """Return `<video>/s<index>@<first frame>`; a shot with another interval has another id."""
    return f"{video_id}/s{index:04d}@{start_frame}"


def masklet_id(shot_id: str, object_id: int) -> str:
    """Return `<shot>/o<object>`."""
    return f"{shot_id}/o{object_id:03d}"
