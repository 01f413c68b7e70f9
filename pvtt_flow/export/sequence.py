"""Sequence: rows, masks and pictures of one shot, as formats write them."""

import hashlib
from collections.abc import Iterator, Mapping
from collections.abc import Sequence as List
from contextlib import closing
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pvtt_flow.core import rle
from pvtt_flow.core.timeline import FrameTime, rate_of
from pvtt_flow.errors import DataError
from pvtt_flow.export.selection import SequenceRef
from pvtt_flow.readers.source_frames import check_same
from pvtt_flow.storage.uris import redact_uri
from pvtt_flow.types import Frame, Masklet
from pvtt_flow.video.read import read_frames, read_frames_at_times
from pvtt_flow.video.worker.decoder import IsolatedDecoder
from pvtt_flow.video.worker.pool import SHARED_POOL

if TYPE_CHECKING:
    from pvtt_flow.readers.snapshot import DatasetSnapshot

_HASH_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoColumns:
    """Columns of `videos` that exports need, as in `VideoRecord`."""

    video_id: str
    uri: str
    etag: str
    size_bytes: int
    content_hash: str | None = None
    width_px: int | None
    height_px: int | None
    fps_num: int | None
    fps_den: int | None
    attributes: dict[str, str] | None = None


class Sequence:
    """Shot of a video with its selected masklets; `masklets` is empty without a product.

    Positions count the processed frames from 0: position i of a mask belongs to position i of the
    pictures.
    """

    def __init__(
        self,
        ref: SequenceRef,
        video: VideoColumns,
        masklets: tuple[Masklet, ...],
        *,
        anonymous: bool = False,
    ) -> None:
        self.name = ref.name
        self.split = ref.split
        self.shot_id = ref.shot_id
        self.video = video
        self.masklets = masklets
        self.hashes: dict[int, str] = {}
        """Hash of the RGB bytes of each position that was decoded."""
        self.unfit: dict[str, str] = {}
        """Reason of each masklet that was left out, by its id."""
        self._decoded_times: list[FrameTime] = []
        self._anonymous = anonymous

    @cached_property
    def times(self) -> tuple[FrameTime, ...]:
        """Index and time of each frame; of a video without a product, once it was decoded."""
        if not self.masklets:
            return tuple(self._decoded_times)
        return tuple(FrameTime(f.frame_index, f.pts_ns) for f in self.masklets[0].frames)

    @property
    def size(self) -> tuple[int, int]:
        """Display height and width in pixels.

        Raises DataError of kind `unreadable` if the video has none.
        """
        if self.masklets:
            return self.masklets[0].height_px, self.masklets[0].width_px
        if self.video.height_px is None or self.video.width_px is None:
            raise DataError("unreadable", f"{self.video.video_id} must have a size, got none")
        return self.video.height_px, self.video.width_px

    @cached_property
    def fps(self) -> Fraction:
        """Frames per second of the processed frames: their mean rate without pauses.

        A rate near the header's is the header's, or that of every n-th frame, since times are
        rounded to ticks of the container. Else it is a whole number if it may be: the last one of
        sampled frames can be late by a period.
        """
        exact = rate_of([time.pts_ns for time in self.times])
        header = Fraction(self.video.fps_num or 25, self.video.fps_den or 1)
        if exact is None:
            return header
        for step in range(1, 1 + round(header / exact) + 1):
            if abs(header / step - exact) < exact / 100:
                return header / step
        whole = Fraction(round(exact))
        if whole and abs(whole - exact) <= exact / (len(self.times) - 1):
            return whole
        return exact.limit_denominator(1001)

    def leave_out(self, masklet: Masklet, reason: str) -> None:
        """Take a masklet out of the sequence that the format cannot use, and remember why."""
        self.masklets = tuple(other for other in self.masklets if other is not masklet)
        self.unfit[masklet.masklet_id] = reason

    def frames_at(self, positions: List[int]) -> Iterator[tuple[int, Frame]]:
        """Decode the pictures at ascending positions; yield each with its position.

        Raises the errors of `frames`.
        """
        times = tuple(self.times[position] for position in positions)
        decoded = self._decoder().iterate(read_frames_at_times, self.video.uri, times)
        with closing(decoded) as frames:
            for position, frame in zip(positions, frames, strict=True):
                self.hashes[position] = _hash(frame.rgb)
                yield position, frame

    def frames(self) -> Iterator[Frame]:
        """Decode the pictures in order; at position i is the frame of `times[i]`.

        Raises DataError of kind `source_changed` if the file is not the one that was processed, and
        the errors of the decoder.
        """
        if self.masklets:
            for _, frame in self.frames_at(range(len(self.times))):
                yield frame
            return
        decoded = self._decoder().iterate(read_frames, self.video.uri)
        with closing(decoded) as frames:
            for position, frame in enumerate(frames):
                self.hashes[position] = _hash(frame.rgb)
                self._decoded_times.append(FrameTime(frame.frame_index, frame.pts_ns))
                yield frame

    def _decoder(self) -> IsolatedDecoder:
        """Return a decoder, if the file is the one that was processed."""
        check_same(self.video.uri, asdict(self.video), anonymous=self._anonymous)
        return IsolatedDecoder(SHARED_POOL, anonymous=self._anonymous)

    def mask(self, masklet: Masklet, position: int) -> NDArray[np.bool_]:
        """Return the mask of an object, bool (H, W); all False where it is absent."""
        counts = masklet.frames[position].rle
        if counts is None:
            return np.zeros(self.size, np.bool_)
        return rle.decode(counts, *self.size)

    def labels(self, position: int) -> NDArray[np.uint8]:
        """Return the numbers of the objects, uint8 (H, W): 0 is background, n the n-th masklet.

        Where objects overlap, the later one is in front, as in DAVIS. Raises DataError of kind
        `over_limit` for more than 255 objects.
        """
        if len(self.masklets) > 255:
            raise DataError(
                "over_limit",
                f"a palette must have at most 255 objects, got {len(self.masklets)}",
            )
        labels = self.mask(self.masklets[0], position).view(np.uint8)
        for number, masklet in enumerate(self.masklets[1:], start=2):
            np.copyto(labels, np.uint8(number), where=self.mask(masklet, position))
        return labels

    def facts(self) -> dict[str, object]:
        """Return what travels with every export: origin, times and hashes of the frames."""
        return {
            "sequence": self.name,
            "split": self.split,
            "video_id": self.video.video_id,
            "shot_id": self.shot_id,
            "uri": redact_uri(self.video.uri),
            "etag": self.video.etag,
            "content_hash": self.video.content_hash,
            "width_px": self.video.width_px,
            "height_px": self.video.height_px,
            "fps": [self.fps.numerator, self.fps.denominator],
            "attributes": self.video.attributes or {},
            "objects": [_object_facts(masklet) for masklet in self.masklets],
            **self.frame_facts(),
        }

    def frame_facts(self) -> dict[str, list[Any]]:
        """Return the index, time and hash of each frame in the source.

        A hash is None if the frame was not decoded.
        """
        return {
            "frame_index": [time.frame_index for time in self.times],
            "pts_ns": [time.pts_ns for time in self.times],
            "rgb_blake2b": [self.hashes.get(position) for position in range(len(self.times))],
        }


def _hash(rgb: NDArray[np.uint8]) -> str:
    pixels = np.ascontiguousarray(rgb)
    return hashlib.blake2b(pixels.data, digest_size=_HASH_BYTES).hexdigest()


def _object_facts(masklet: Masklet) -> Mapping[str, object]:
    return {
        "masklet_id": masklet.masklet_id,
        "object_id": masklet.object_id,
        "label": masklet.label,
        "verdict": masklet.verdict,
    }


def read_sequence(
    dataset: "DatasetSnapshot", ref: SequenceRef, *, anonymous: bool = False
) -> Sequence:
    """Read the rows of a sequence; `anonymous` reads its video without credentials."""
    video = dataset.video_as(VideoColumns, ref.video_id)
    if video is None:
        raise ValueError(f"the dataset must have the selected video {ref.video_id}, got none")
    wanted = set(ref.masklet_ids)
    rows = dataset.masklets_of(ref.video_id, shot_id=ref.shot_id) if wanted else []
    masklets = sorted(
        (row for row in rows if row.masklet_id in wanted), key=lambda row: row.object_id
    )
    return Sequence(ref, video, tuple(masklets), anonymous=anonymous)
