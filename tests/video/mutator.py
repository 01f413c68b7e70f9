"""Mutate files at random: changed bytes, wrong sizes, missing parts, inserted parts."""

import random
import re
from collections.abc import Callable, Sequence

# Names of boxes and chunks, and ids of Matroska elements; the size is before or after them.
_NAMES = re.compile(
    rb"ftyp|moov|mvhd|trak|tkhd|mdia|mdhd|hdlr|minf|stbl|stsd|avc1|avcC|hvcC|av1C|stts|stss|ctts"
    rb"|stsc|stsz|stco|edts|elst|mdat|moof|mfhd|traf|tfhd|tfdt|trun|mvex|trex"
    rb"|RIFF|LIST|hdrl|avih|strl|strh|strf|movi|idx1|00dc"
    rb"|\x1a\x45\xdf\xa3|\x18\x53\x80\x67|\x16\x54\xae\x6b|\x1f\x43\xb6\x75|\x1c\x53\xbb\x6b"
)
_SIZES = (0, 1, 7, 8, 9, 16, 255, 65536, 2**31 - 1, 2**31, 2**32 - 1)
# Headers and indices are within this distance from either end.
_EDGE_BYTES = 1500


def mutate(files: Sequence[bytes], seed: int) -> bytes:
    """Return one of the files with one to three mutations; equal seeds give equal results."""
    draw = random.Random(seed)
    data = files[seed % len(files)]
    for _ in range(draw.choice((1, 1, 2, 3))):
        mutation = draw.choice(MUTATIONS)
        data = mutation(data, draw.choice(files), draw)
    return data


def change_bytes(data: bytes, _other: bytes, draw: random.Random) -> bytes:
    """Change some bytes, anywhere or at an end."""
    start, stop = draw.choice(
        ((0, len(data)), (0, _EDGE_BYTES), (len(data) - _EDGE_BYTES, len(data)))
    )
    changed = bytearray(data)
    for _ in range(draw.choice((1, 2, 4, 16, 64))):
        at = draw.randrange(max(start, 0), max(min(stop, len(data)), 1))
        changed[at : at + 1] = bytes([draw.randrange(256)])
    return bytes(changed)


def resize_box(data: bytes, _other: bytes, draw: random.Random) -> bytes:
    """Change the size of a box or chunk."""
    names = [match.span() for match in _NAMES.finditer(data)]
    if not names:
        return data
    start, stop = draw.choice(names)
    at = max(draw.choice((start - 4, stop)), 0)
    size = draw.choice((*_SIZES, len(data), draw.randrange(len(data))))
    return data[:at] + size.to_bytes(4, draw.choice(("big", "little"))) + data[at + 4 :]


def remove_part(data: bytes, _: bytes, draw: random.Random) -> bytes:
    """Remove the end, a part in the middle, or the start."""
    start, stop = sorted((draw.randint(0, len(data)), draw.randint(0, len(data))))
    return draw.choice((data[:stop], data[:start] + data[stop:], data[start:]))


def insert_part(data: bytes, other: bytes, draw: random.Random) -> bytes:
    """Insert a part of this or another file, or end with it."""
    at = draw.randint(0, len(data))
    source = draw.choice((data, other))
    start, stop = sorted((draw.randint(0, len(source)), draw.randint(0, len(source))))
    return draw.choice((data[:at] + source[start:], data[:at] + source[start:stop] + data[at:]))


MUTATIONS: tuple[Callable[[bytes, bytes, random.Random], bytes], ...] = (
    change_bytes,
    resize_box,
    remove_part,
    insert_part,
)
