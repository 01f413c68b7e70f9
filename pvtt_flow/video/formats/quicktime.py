"""QuickTime file that exists only as a stream: a header, and pictures as its samples.

FFmpeg's demuxer then counts, times, seeks and checks pictures as it does the samples of any other
file; a second reader would have to do all of it again. The layout is Apple's QuickTime File Format;
fields that FFmpeg does not need are 0.
"""

import struct
from abc import abstractmethod
from collections.abc import Sequence
from itertools import groupby
from typing import BinaryIO, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pvtt_flow.core.virtual_file import Buffer, PictureSequence, VirtualFile

Coding = Literal["jpeg", "png", "argb"]
# Names and bits a pixel of sample entries.
_FORMATS: dict[Coding, tuple[bytes, int]] = {
    "jpeg": (b"jpeg", 24),
    "png": (b"png ", 24),
    "argb": (b"raw ", 32),
}
_DPI = 72 << 16
_NO_COLOUR_TABLE = 0xFFFF
_UNITY = struct.pack(">9I", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
_MDAT_HEAD_BYTES = 16


def head(
    coding: Coding,
    sizes_bytes: Sequence[int],
    durations: Sequence[int],
    timescale_hz: int,
    size_px: tuple[int, int] = (0, 0),
) -> bytes:
    """Return the bytes before the first picture; pictures follow without a gap.

    `sizes_bytes` are those of the pictures, in their order, each in [1, 2^31); there is
    at least one. `durations` say how long each is shown, in ticks of 1 / timescale_hz seconds; all
    together are fewer than 2^32. `size_px` is width and height, 0 where the pictures tell theirs.
    """
    samples = _Samples(coding, size_px, np.asarray(sizes_bytes, ">u4"), durations)
    before = _box(b"ftyp", b"qt  ", struct.pack(">I", 0x200), b"qt  ")
    # Where the pictures begin is written with a fixed number of bytes.
    num_bytes = len(before) + len(_moov(samples, timescale_hz, 0)) + _MDAT_HEAD_BYTES
    moov = _moov(samples, timescale_hz, num_bytes)
    # The size 1 says that the true one follows, in 64 bits.
    mdat = struct.pack(">I4sQ", 1, b"mdat", _MDAT_HEAD_BYTES + sum(sizes_bytes))
    return before + moov + mdat


class QuicktimeFile(VirtualFile):
    """Header, and samples that are made as they are read."""

    def __init__(self, start: bytes, samples_bytes: int) -> None:
        """Begin with `start`, the result of `head`; `samples_bytes` follow."""
        super().__init__(len(start) + samples_bytes)
        self._start = start

    @abstractmethod
    def _samples_at(self, offset: int, num_bytes: int) -> Buffer:
        """Return bytes of the samples, from an offset in them; none where the file is truncated."""

    def _bytes_at(self, position: int, num_bytes: int) -> Buffer:
        if position < len(self._start):
            return memoryview(self._start)[position:]
        return self._samples_at(position - len(self._start), num_bytes)


class PictureFile(QuicktimeFile):
    """QuickTime file of a sequence of pictures."""

    def __init__(self, file: BinaryIO, pictures: PictureSequence) -> None:
        """Wrap the pictures' file; the caller closes it."""
        durations = [pictures.rate.denominator] * len(pictures.sizes_bytes)
        start = head(pictures.coding, pictures.sizes_bytes, durations, pictures.rate.numerator)
        super().__init__(start, sum(pictures.sizes_bytes))
        self._file = file

    def _samples_at(self, offset: int, num_bytes: int) -> Buffer:
        self._file.seek(offset)
        return self._file.read(num_bytes)


class _Samples(NamedTuple):
    coding: Coding
    size_px: tuple[int, int]
    sizes_bytes: NDArray[np.uint32]
    durations: Sequence[int]


def _moov(samples: _Samples, timescale_hz: int, data_at: int) -> bytes:
    ticks = sum(samples.durations)
    clock = struct.pack(">4I", 0, 0, timescale_hz, ticks)
    movie = clock + struct.pack(">IH10x", 1 << 16, 1 << 8) + _UNITY
    track = struct.pack(">5I16x", 0, 0, 1, 0, ticks) + _UNITY
    data = _box(b"dinf", _table(b"dref", 1, _full(b"alis", flags=1)))
    information = _box(b"minf", _full(b"vmhd", bytes(8), flags=1), data, _stbl(samples, data_at))
    handler = _full(b"hdlr", b"mhlrvide", bytes(13))
    media = _box(b"mdia", _full(b"mdhd", clock, bytes(4)), handler, information)
    return _box(
        b"moov",
        _full(b"mvhd", movie, bytes(24), struct.pack(">I", 2)),
        _box(b"trak", _full(b"tkhd", track, bytes(8), flags=0x7), media),
    )


def _stbl(samples: _Samples, data_at: int) -> bytes:
    """Return the sample table: one chunk, and every sample is a keyframe."""
    num_samples = len(samples.durations)
    lasting = [(len(list(same)), duration) for duration, same in groupby(samples.durations)]
    times = b"".join(struct.pack(">2I", *run) for run in lasting)
    sizes = struct.pack(">2I", 0, num_samples) + samples.sizes_bytes.tobytes()
    return _box(
        b"stbl",
        _table(b"stsd", 1, _entry(samples.coding, samples.size_px)),
        _table(b"stts", len(lasting), times),
        _table(b"stsc", 1, struct.pack(">3I", 1, num_samples, 1)),
        _full(b"stsz", sizes),
        _table(b"co64", 1, struct.pack(">Q", data_at)),
    )


def _entry(coding: Coding, size_px: tuple[int, int]) -> bytes:
    name, bits_a_pixel = _FORMATS[coding]
    look = struct.pack(">2IIH32xHH", _DPI, _DPI, 0, 1, bits_a_pixel, _NO_COLOUR_TABLE)
    return _box(name, struct.pack(">6xH16x", 1), struct.pack(">2H", *size_px), look)


def _table(kind: bytes, num_entries: int, entries: bytes) -> bytes:
    return _full(kind, struct.pack(">I", num_entries), entries)


def _full(kind: bytes, *parts: bytes, flags: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", flags), *parts)


def _box(kind: bytes, *parts: bytes) -> bytes:
    return struct.pack(">I4s", 8 + sum(map(len, parts)), kind) + b"".join(parts)
