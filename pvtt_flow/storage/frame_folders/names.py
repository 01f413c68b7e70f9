"""Which pictures of a folder are the frames of a video, and in which order."""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

from pvtt_flow.errors import DataError
from pvtt_flow.storage.object_info import ObjectInfo

Coding = Literal["jpeg", "png"]
_FRAME = re.compile(r"(?!\.)(.*?)([0-9]+)\.(jpe?g|png)", re.IGNORECASE | re.DOTALL)


class FrameName(NamedTuple):
    """A name such as `mug_000123.jpg`, in its parts."""

    prefix: str
    number: int
    coding: Coding


def parse_frame_name(name: str) -> FrameName | None:
    """None for what is no frame: another ending, no number before it, or a hidden file."""
    match = _FRAME.fullmatch(name)
    if match is None:
        return None
    coding: Coding = "png" if match[3].lower() == "png" else "jpeg"
    return FrameName(match[1], int(match[2]), coding)


def base_name(uri: str) -> str:
    """The last part of a uri."""
    return uri.rpartition("/")[2]


def sorted_by_number(
    pictures: Sequence[ObjectInfo], folder: str
) -> tuple[Coding, list[ObjectInfo]]:
    """The frames by their number, not by their text: frame 10 comes after frame 9.

    Numbers that are left out are no frames. Raises DataError of kind `not_a_video` when these
    cannot be the frames of one video: there are none, JPEG beside PNG, names that begin
    differently, or a number that comes twice.
    """
    named = [
        (name, found) for found in pictures if (name := parse_frame_name(base_name(found.uri)))
    ]
    if not named:
        raise _no_video(folder, "pictures whose names end in a number (00000.jpg)", "none")
    codings = Counter(name.coding for name, _ in named)
    if len(codings) > 1:
        counted = " and ".join(f"{count} {coding}" for coding, count in sorted(codings.items()))
        raise _no_video(folder, "frames of one kind, JPEG or PNG", counted)
    prefixes = sorted({name.prefix for name, _ in named})
    if len(prefixes) > 1:
        found_text = f"{prefixes[0]!r} and {prefixes[1]!r}"
        raise _no_video(folder, "names that begin alike before their number", found_text)
    named.sort(key=lambda pair: pair[0].number)
    for (before, first), (after, second) in pairwise(named):
        if before.number == after.number:
            twice = f"{base_name(first.uri)} and {base_name(second.uri)}"
            raise _no_video(folder, "each number once", twice)
    return named[0][0].coding, [found for _, found in named]


def _no_video(folder: str, expected: str, found: str) -> DataError:
    return DataError(
        "not_a_video",
        f"a folder of frames must have {expected}, but in {folder} there are {found}; "
        "keep each video's frames, and nothing else that is numbered, in a folder of its own",
    )
