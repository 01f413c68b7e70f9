"""Damaged copies of files: the same for the same seed, in every way that files get damaged."""

import random
import re
from collections.abc import Callable, Sequence

# Names of boxes and chunks, and Matroska's ids; the size is beside them, in whatever order.
_NAMES = re.compile(
    rb"ftyp|moov|mvhd|trak|tkhd|mdia|mdhd|hdlr|minf|stbl|stsd|avc1|avcC|hvcC|av1C|stts|stss|ctts"
    rb"|stsc|stsz|stco|edts|elst|mdat|moof|mfhd|traf|tfhd|tfdt|trun|mvex|trex"
    rb"|RIFF|LIST|hdrl|avih|strl|strh|strf|movi|idx1|00dc"
    rb"|\x1a\x45\xdf\xa3|\x18\x53\x80\x67|\x16\x54\xae\x6b|\x1f\x43\xb6\x75|\x1c\x53\xbb\x6b"
)
_SIZES = (0, 1, 7, 8, 9, 16, 255, 65536, 2**31 - 1, 2**31, 2**32 - 1)
# Where headers and indices are.
_EDGE_BYTES = 1500


def mutated(files: Sequence[bytes], seed: int) -> bytes:
    """One of the files, damaged one to three times."""
    draw = random.Random(seed)
    data = files[seed % len(files)]
    for _ in range(draw.choice((1, 1, 2, 3))):
        damage = draw.choice(DAMAGES)
        data = damage(data, draw.choice(files), draw)
    return data


def flipped(data: bytes, _: bytes, draw: random.Random) -> bytes:
    """Some bytes are others, anywhere or at an end."""
    start, stop = draw.choice(
        ((0, len(data)), (0, _EDGE_BYTES), (len(data) - _EDGE_BYTES, len(data)))
    )
    hurt = bytearray(data)
    for _ in range(draw.choice((1, 2, 4, 16, 64))):
        at = draw.randrange(max(start, 0), max(min(stop, len(data)), 1))
        hurt[at : at + 1] = bytes([draw.randrange(256)])
    return bytes(hurt)


def resized(data: bytes, _: bytes, draw: random.Random) -> bytes:
    """A box says that it is larger or smaller than it is."""
    names = [found.span() for found in _NAMES.finditer(data)]
    if not names:
        return data
    start, stop = draw.choice(names)
    at = max(draw.choice((start - 4, stop)), 0)
    size = draw.choice((*_SIZES, len(data), draw.randrange(len(data))))
    return data[:at] + size.to_bytes(4, draw.choice(("big", "little"))) + data[at + 4 :]


def truncated(data: bytes, _: bytes, draw: random.Random) -> bytes:
    """The end is missing, or a piece in the middle, or the start."""
    start, stop = sorted((draw.randint(0, len(data)), draw.randint(0, len(data))))
    return draw.choice((data[:stop], data[:start] + data[stop:], data[start:]))


def spliced(data: bytes, other: bytes, draw: random.Random) -> bytes:
    """A piece of another file, or of this one, stands in the middle or goes on to the end."""
    at = draw.randint(0, len(data))
    source = draw.choice((data, other))
    start, stop = sorted((draw.randint(0, len(source)), draw.randint(0, len(source))))
    return draw.choice((data[:at] + source[start:], data[:at] + source[start:stop] + data[at:]))


DAMAGES: tuple[Callable[[bytes, bytes, random.Random], bytes], ...] = (
    flipped,
    resized,
    truncated,
    spliced,
)
