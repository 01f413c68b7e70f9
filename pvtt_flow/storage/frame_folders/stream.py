"""Stream of the pictures of a folder of frames, one after the other.

The pictures are fetched, whole or in ranges, when they are read.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from pvtt_flow.core.virtual_file import PictureSequence, VirtualFile
from pvtt_flow.errors import DataError
from pvtt_flow.storage.filesystems import filesystem
from pvtt_flow.storage.frame_folders.folders import MAX_FRAMES, FrameFolder, list_frames
from pvtt_flow.storage.frame_folders.names import Coding, sorted_by_number, unquoted_name
from pvtt_flow.storage.uris import redact_uri

MAX_PICTURE_BYTES = (1 << 31) - 1
"""Largest picture; FFmpeg reads the size of a frame as a signed number."""
# A request waits most of its time, so pictures that are read in turn are fetched together.
_MAX_PICTURES = 16
_WINDOW_BYTES = 8 << 20
# FFmpeg skips an empty frame, and the frames after it would count one less. A byte is damage.
_EMPTY = b"\0"


class _Piece(NamedTuple):
    """Bytes `[start, stop)` of a picture."""

    picture: int
    start: int
    stop: int


class FrameStream(VirtualFile):
    """Pictures as one file; a read ends where a window of fetched pictures ends.

    Reads raise the errors of the store, and DataError of kind `source_changed` for a picture that
    is shorter now than when the folder was listed.
    """

    def __init__(
        self, files: Any, listed: Sequence[tuple[str, int]], coding: Coding, rate: Fraction
    ) -> None:
        """Concatenate the pictures, given by path in the filesystem `files` and size."""
        sizes = [size or len(_EMPTY) for _, size in listed]
        self.pictures = PictureSequence(coding, sizes, rate)
        self._files = files
        self._listed = listed
        # Picture i is at [bounds[i], bounds[i + 1]).
        self._bounds = np.fromiter(accumulate(sizes, initial=0), np.int64)
        super().__init__(int(self._bounds[-1]))
        self._window_at, self._window, self._num_pictures = -1, b"", 1

    def _bytes_at(self, position: int, num_bytes: int) -> memoryview:
        """Return the bytes of the window from a position on, after fetching a window if needed."""
        del num_bytes  # a window is fetched as a whole
        stop = self._window_at + len(self._window)
        if not self._window_at <= position < stop:
            is_next = position == stop
            num_pictures = min(2 * self._num_pictures, _MAX_PICTURES) if is_next else 1
            window = self._fetch(position, num_pictures)
            self._window_at, self._window, self._num_pictures = position, window, num_pictures
        return memoryview(self._window)[position - self._window_at :]

    def _fetch(self, position: int, num_pictures: int) -> bytes:
        pieces = list(self._pieces(position, num_pictures))
        wanted = [piece for piece in pieces if self._listed[piece.picture][1]]
        paths = [self._listed[piece.picture][0] for piece in wanted]
        starts, stops = [piece.start for piece in wanted], [piece.stop for piece in wanted]
        contents = self._files.cat_ranges(paths, starts, stops, on_error="raise")
        by_piece = dict(zip(wanted, contents, strict=True))
        for piece, content in by_piece.items():
            if len(content) != piece.stop - piece.start:
                raise self._changed(piece)
        return b"".join(by_piece.get(piece, _EMPTY) for piece in pieces)

    def _pieces(self, position: int, num_pictures: int) -> Iterator[_Piece]:
        """Yield the pieces of the window at a position: of `num_pictures`, up to its size."""
        first = int(np.searchsorted(self._bounds, position, "right")) - 1
        start, left = position - int(self._bounds[first]), _WINDOW_BYTES
        for index in range(first, min(first + num_pictures, len(self._listed))):
            size = int(self._bounds[index + 1] - self._bounds[index])
            stop = min(size, start + left)
            yield _Piece(index, start, stop)
            left -= stop - start
            if not left:
                return
            start = 0

    def _changed(self, piece: _Piece) -> DataError:
        path, size = self._listed[piece.picture]
        return DataError(
            "source_changed",
            f"{path} must have the {size} bytes that were listed, got fewer; run again when the "
            "folder is no longer written to",
        )


def open_frames(frames: FrameFolder, *, anonymous: bool = False) -> FrameStream:
    """Open the pictures of a folder as one file; `anonymous` as in `filesystem`.

    Raises the errors of the store, and DataError: `not_a_video` for pictures that are not the
    frames of one video, `over_limit` for too many or too large ones, `unreadable` for one that may
    not be read.
    """
    where = redact_uri(frames.folder)
    pictures = list_frames(frames.folder, anonymous=anonymous)
    if len(pictures) > MAX_FRAMES:
        raise _over(f"a folder of frames must have at most {MAX_FRAMES} pictures", where)
    coding, ordered = sorted_by_number(pictures, where)
    for picture in ordered:
        if not picture.etag:
            raise DataError("unreadable", f"access to {redact_uri(picture.uri)} was refused, or it "
                            "is no regular file: check its permissions")  # fmt: skip
        if picture.size_bytes > MAX_PICTURE_BYTES:
            raise _over("a picture must have less than 2 GiB", redact_uri(picture.uri))
    files, folder = filesystem(frames.folder, anonymous=anonymous)
    listed = [(f"{folder}/{unquoted_name(p.uri)}", p.size_bytes) for p in ordered]
    return FrameStream(files, listed, coding, frames.rate)


def _over(rule: str, where: str) -> DataError:
    return DataError("over_limit", f"{rule}, but {where} has more; make the video smaller")
