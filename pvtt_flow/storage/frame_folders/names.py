"""Recognize the frames of a video by their file names, and sort them by number."""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple
from urllib.parse import unquote

from pvtt_flow.errors import DataError
from pvtt_flow.storage.object_info import ObjectInfo

Coding = Literal["jpeg", "png"]
_FRAME = re.compile(r"(?!\.)(.*?)([0-9]+)\.(jpe?g|png)", re.IGNORECASE | re.DOTALL)


class FrameName(NamedTuple):
    """Parts of a name such as `mug_000123.jpg`."""

    prefix: str
    number: int
    coding: Coding


def parse_frame_name(name: str) -> FrameName | None:
    """Parse a file name; return None without a number, for another extension, or a hidden file."""
    match = _FRAME.fullmatch(name)
    if match is None:
        return None
    coding: Coding = "png" if match[3].lower() == "png" else "jpeg"
    return FrameName(match[1], int(match[2]), coding)


def base_name(uri: str) -> str:
    """Return the last part of a uri."""
    return uri.rpartition("/")[2]


def unquoted_name(uri: str) -> str:
    """Return the name of the file; that of a `file://` uri is decoded."""
    name = base_name(uri)
    return unquote(name, errors="surrogateescape") if uri.startswith("file://") else name


def sorted_by_number(
    pictures: Sequence[ObjectInfo], folder: str
) -> tuple[Coding, list[ObjectInfo]]:
    """Return the coding and the frames in the order of their numbers: frame 10 follows frame 9.

    Missing numbers make no frames. Raises DataError of kind `not_a_video` if the pictures cannot be
    the frames of one video: none is numbered, JPEG and PNG are mixed, or prefixes or numbers clash.
    """
    frames = [(name, p) for p in pictures if (name := parse_frame_name(base_name(p.uri)))]
    if not frames:
        raise _not_a_video(folder, "pictures whose names end in a number (00000.jpg)", "none")
    codings = Counter(name.coding for name, _ in frames)
    if len(codings) > 1:
        counts = " and ".join(f"{count} {coding}" for coding, count in sorted(codings.items()))
        raise _not_a_video(folder, "frames of one type, JPEG or PNG", counts)
    prefixes = sorted({name.prefix for name, _ in frames})
    if len(prefixes) > 1:
        rule = "names with the same text before their number"
        raise _not_a_video(folder, rule, f"{prefixes[0]!r} and {prefixes[1]!r}")
    frames.sort(key=lambda frame: frame[0].number)
    for (name, first), (next_name, second) in pairwise(frames):
        if name.number == next_name.number:
            both = f"{base_name(first.uri)} and {base_name(second.uri)}"
            raise _not_a_video(folder, "each number once", both)
    return frames[0][0].coding, [picture for _, picture in frames]


def _not_a_video(folder: str, rule: str, value: str) -> DataError:
    return DataError(
        "not_a_video",
        f"a folder of frames must have {rule}, got {value} ({folder}); keep the frames of each "
        "video, and no other numbered pictures, in a folder of its own",
    )
