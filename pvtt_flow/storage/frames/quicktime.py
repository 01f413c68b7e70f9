"""The head of a QuickTime file whose samples are picture files, one after the other.

Apple's QuickTime File Format is the layout; what a reader does not need is left at 0.
"""

import struct
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from pvtt_flow.storage.frames.names import Coding

# Sample entries; the size is 0, since every decoder takes it from the pictures.
_FORMATS: dict[Coding, bytes] = {"jpeg": b"jpeg", "png": b"png "}
_DPI = 72 << 16
_BITS_A_PIXEL = 24
_NO_COLOUR_TABLE = 0xFFFF
_UNITY = struct.pack(">9I", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
_MDAT_HEAD_BYTES = 16
MAX_SAMPLE_BYTES = (1 << 31) - 1
"""FFmpeg takes a sample's size for a signed number."""


def head(coding: Coding, sizes_bytes: Sequence[int], fps: Fraction) -> bytes:
    """Everything before the first picture; the pictures follow without a gap.

    Picture i is shown at i / fps. `sizes_bytes` are those of the pictures, in their order, each
    in [1, MAX_SAMPLE_BYTES]; there is at least one.
    """
    ticks = len(sizes_bytes) * fps.denominator
    before = _box(b"ftyp", b"qt  ", struct.pack(">I", 0x200), b"qt  ")
    # Where the pictures begin is written with a fixed number of bytes.
    num_bytes = len(before) + len(_moov(coding, sizes_bytes, fps, ticks, 0)) + _MDAT_HEAD_BYTES
    moov = _moov(coding, sizes_bytes, fps, ticks, num_bytes)
    # The size 1 says that the true one follows, in 64 bits.
    mdat = struct.pack(">I4sQ", 1, b"mdat", _MDAT_HEAD_BYTES + sum(sizes_bytes))
    return before + moov + mdat


def _moov(
    coding: Coding, sizes_bytes: Sequence[int], fps: Fraction, ticks: int, data_at: int
) -> bytes:
    clock = struct.pack(">4I", 0, 0, fps.numerator, ticks)
    movie = clock + struct.pack(">IH10x", 1 << 16, 1 << 8) + _UNITY
    track = struct.pack(">5I16x", 0, 0, 1, 0, ticks) + _UNITY
    data = _box(b"dinf", _table(b"dref", 1, _full(b"alis", flags=1)))
    samples = _samples(coding, sizes_bytes, fps, data_at)
    information = _box(b"minf", _full(b"vmhd", bytes(8), flags=1), data, samples)
    handler = _full(b"hdlr", b"mhlrvide", bytes(13))
    media = _box(b"mdia", _full(b"mdhd", clock, bytes(4)), handler, information)
    return _box(
        b"moov",
        _full(b"mvhd", movie, bytes(24), struct.pack(">I", 2)),
        _box(b"trak", _full(b"tkhd", track, bytes(8), flags=0x7), media),
    )


def _samples(coding: Coding, sizes_bytes: Sequence[int], fps: Fraction, data_at: int) -> bytes:
    """All in one chunk, all equally long, and every one of them a keyframe."""
    num_samples = len(sizes_bytes)
    sizes = np.asarray(sizes_bytes, ">u4").tobytes()
    return _box(
        b"stbl",
        _table(b"stsd", 1, _entry(_FORMATS[coding])),
        _table(b"stts", 1, struct.pack(">2I", num_samples, fps.denominator)),
        _table(b"stsc", 1, struct.pack(">3I", 1, num_samples, 1)),
        _full(b"stsz", struct.pack(">2I", 0, num_samples), sizes),
        _table(b"co64", 1, struct.pack(">Q", data_at)),
    )


def _entry(format_: bytes) -> bytes:
    size_px = struct.pack(">2H", 0, 0)
    look = struct.pack(">2IIH32xHH", _DPI, _DPI, 0, 1, _BITS_A_PIXEL, _NO_COLOUR_TABLE)
    return _box(format_, struct.pack(">6xH16x", 1), size_px, look)


def _table(kind: bytes, num_entries: int, entries: bytes) -> bytes:
    return _full(kind, struct.pack(">I", num_entries), entries)


def _full(kind: bytes, *parts: bytes, flags: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", flags), *parts)


def _box(kind: bytes, *parts: bytes) -> bytes:
    return struct.pack(">I4s", 8 + sum(map(len, parts)), kind) + b"".join(parts)
