"""Folder of frames as a QuickTime file, so that FFmpeg reads a folder like a video.

The file exists only as a stream: its header is made from the names and sizes of the pictures, whose
bytes are fetched, whole or in ranges, when they are read.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from pvtt_flow.core.quicktime import MAX_SAMPLE_BYTES, QuicktimeFile, head
from pvtt_flow.errors import DataError
from pvtt_flow.storage.filesystems import filesystem
from pvtt_flow.storage.frame_folders.folders import MAX_FRAMES, FrameFolder, list_frames
from pvtt_flow.storage.frame_folders.names import base_name, sorted_by_number
from pvtt_flow.storage.uris import redact_uri

# A request waits most of its time, so pictures that are read in turn are fetched side by side.
_MOST_AT_ONCE = 16
_WINDOW_BYTES = 8 << 20
# FFmpeg steps over an empty sample, and the frames after it would count one less. This is damage.
_EMPTY = b"\0"


class _Piece(NamedTuple):
    """Bytes `[start, stop)` of a picture."""

    picture: int
    start: int
    stop: int


class FrameStream(QuicktimeFile):
    """The file; reads end where a window ends.

    They raise what the store raises, and DataError of kind `source_changed` for a picture that is
    shorter now than when the folder was listed.
    """

    def __init__(self, files: Any, pictures: Sequence[tuple[str, int]], start: bytes) -> None:
        """`pictures` are paths and sizes; `start` is what comes before the first of them."""
        self._files = files
        self._pictures = pictures
        # Picture i is at [bounds[i], bounds[i + 1]).
        sizes = (size or len(_EMPTY) for _, size in pictures)
        self._bounds = np.fromiter(accumulate(sizes, initial=len(start)), np.int64)
        super().__init__(start, int(self._bounds[-1]) - len(start))
        self._window_at, self._window, self._at_once = -1, b"", 1

    def _samples_at(self, position: int) -> memoryview:
        """Return the bytes at a position that are in the window, after fetching one if needed."""
        stop = self._window_at + len(self._window)
        if not self._window_at <= position < stop:
            at_once = min(2 * self._at_once, _MOST_AT_ONCE) if position == stop else 1
            window = self._fetched(position, at_once)
            self._window_at, self._window, self._at_once = position, window, at_once
        return memoryview(self._window)[position - self._window_at :]

    def _fetched(self, position: int, at_once: int) -> bytes:
        pieces = list(self._pieces(position, at_once))
        asked = [piece for piece in pieces if self._pictures[piece.picture][1]]
        paths = [self._pictures[piece.picture][0] for piece in asked]
        starts, stops = [piece.start for piece in asked], [piece.stop for piece in asked]
        fetched = self._files.cat_ranges(paths, starts, stops, on_error="raise")
        found = dict(zip(asked, fetched, strict=True))
        for piece, data in found.items():
            if len(data) != piece.stop - piece.start:
                raise self._changed(piece)
        return b"".join(found.get(piece, _EMPTY) for piece in pieces)

    def _pieces(self, position: int, at_once: int) -> Iterator[_Piece]:
        """The window from a position on: of so many pictures, and no more than its size."""
        first = int(np.searchsorted(self._bounds, position, "right")) - 1
        start, left = position - int(self._bounds[first]), _WINDOW_BYTES
        for index in range(first, min(first + at_once, len(self._pictures))):
            size = int(self._bounds[index + 1] - self._bounds[index])
            stop = min(size, start + left)
            yield _Piece(index, start, stop)
            left -= stop - start
            if not left:
                return
            start = 0

    def _changed(self, piece: _Piece) -> DataError:
        path, size = self._pictures[piece.picture]
        return DataError(
            "source_changed",
            f"{path} must have the {size} bytes that were listed, got fewer; run again when the "
            "folder is no longer written to",
        )


def open_frames(frames: FrameFolder) -> FrameStream:
    """The folder as a file.

    Raises what the store raises, and DataError: `not_a_video` for pictures that are not the
    frames of one video, `over_limit` for too many or too large ones, `unreadable` where one cannot
    be seen.
    """
    shown = redact_uri(frames.folder)
    pictures = list_frames(frames.folder)
    if len(pictures) > MAX_FRAMES:
        raise _over(f"a folder of frames must have at most {MAX_FRAMES} pictures", shown)
    coding, ordered = sorted_by_number(pictures, shown)
    for picture in ordered:
        if not picture.etag:
            raise DataError("unreadable", f"access to {redact_uri(picture.uri)} was refused, or it "
                            "is no regular file: check its permissions")  # fmt: skip
        if picture.size_bytes > MAX_SAMPLE_BYTES:
            raise _over("a picture must have less than 2 GiB", redact_uri(picture.uri))
    files, folder = filesystem(frames.folder)
    sizes_bytes = [p.size_bytes or len(_EMPTY) for p in ordered]
    durations = [frames.rate.denominator] * len(ordered)
    start = head(coding, sizes_bytes, durations, frames.rate.numerator)
    listed = [(f"{folder}/{base_name(p.uri)}", p.size_bytes) for p in ordered]
    return FrameStream(files, listed, start)


def _over(rule: str, where: str) -> DataError:
    return DataError("over_limit", f"{rule}, but {where} has more; make the video smaller")
