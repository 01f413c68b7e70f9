"""Clips of masklets for torch, as a map-style and as an iterable dataset.

A sample is a dictionary for torchvision's v2 transforms, so that a resize or a crop changes frames,
masks and boxes together:

    frames       tv_tensors.Video, uint8 (T, 3, H, W) RGB, upright, display pixels
    masks        tv_tensors.Mask, bool (T, H, W), all False where the object is absent
    boxes_xyxy   tv_tensors.BoundingBoxes, float32 (T, 4), 0 where the object is absent
    largest_fragment_box_xyxy
                 likewise, of the largest piece of each mask, to guide motion: specks make the box
                 of the whole mask too large; older rows, without it, give that box
    present      bool (T,)
    frame_index  int64 (T,), in the video
    pts_ns       int64 (T,), presentation time
    video_id, masklet_id, label   str
"""

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from pvtt_flow.core.timeline import FrameTime
from pvtt_flow.errors import DataError
from pvtt_flow.readers.clip_index import ClipIndex
from pvtt_flow.readers.sample import MaskletRow, Sample
from pvtt_flow.readers.source_frames import ResolveUri, frames_of
from pvtt_flow.types import Frame

_LOG = logging.getLogger(__name__)
Transform: TypeAlias = Callable[[Sample], Any]
Read = Callable[[Sequence[FrameTime]], Iterable[Frame]]
"""Function from times to the frames at these times, in order, decoded on demand."""


class Clips(Dataset[Any]):
    """Map-style dataset of clips; seeks in the source for each clip.

    Indexing raises DataError if the source cannot be read.
    """

    def __init__(
        self,
        index: ClipIndex,
        transform: Transform | None,
        resolve_uri: ResolveUri | None,
        *,
        anonymous: bool = False,
    ) -> None:
        self.index = index
        self._transform = transform
        self._resolve_uri = resolve_uri
        self._anonymous = anonymous

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, number: int) -> Any:
        if not -len(self) <= number < len(self):
            raise IndexError(f"clip must be below {len(self)}, got {number}")
        clip = self.index.clip(number % len(self))
        location = self.index.row(clip.masklet)
        row = MaskletRow(self.index.root, location)
        frames = list(self.frames_of(location, row.times(clip.positions)))
        sample = row.sample(clip.positions, frames)
        return self.transformed(sample)

    def frames_of(self, source: Mapping[str, Any], wanted: Sequence[FrameTime]) -> Iterator[Frame]:
        """Decode the frames of a source at some times, on demand."""
        return frames_of(source, wanted, self._resolve_uri, anonymous=self._anonymous)

    def transformed(self, sample: Sample) -> Any:
        """Apply the transform to a sample."""
        return self._transform(sample) if self._transform else sample

    def stream(
        self,
        *,
        shuffle: bool = False,
        seed: int = 0,
        strict: bool = True,
        ranks: tuple[int, int] | None = None,
    ) -> "ClipStream":
        """Return an iterable dataset that opens and decodes each video once an epoch.

        Videos are divided among the workers of a loader and among ranks. `ranks` is the rank of
        this process and the number of ranks; the default is that of torch.distributed or torchrun.
        `shuffle` changes the order of videos for each `set_epoch`. A video that cannot be read
        raises DataError; with `strict=False` it is skipped with a warning.
        """
        return ClipStream(self, shuffle=shuffle, seed=seed, strict=strict, ranks=ranks or _ranks())


class ClipStream(IterableDataset[Any]):
    """Iterable dataset of clips, video by video, each decoded once; see `Clips.stream`."""

    def __init__(
        self, clips: Clips, *, shuffle: bool, seed: int, strict: bool, ranks: tuple[int, int]
    ) -> None:
        self.clips = clips
        self._videos = clips.index.videos  # computed once, for all workers
        self._ranks = ranks
        self._shuffle = shuffle
        self._seed = seed
        self._strict = strict
        # Shared memory, so that persistent workers see the next epoch.
        self._epoch = torch.zeros((), dtype=torch.int64)
        self._epoch.share_memory_()  # type: ignore[no-untyped-call]

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of videos; call it before each epoch, in the main process."""
        self._epoch.fill_(epoch)

    def __iter__(self) -> Iterator[Any]:
        for number in self._videos_of_worker():
            try:
                for sample in self._samples(self._videos[number]):
                    yield self.clips.transformed(sample)
            except DataError as error:
                if self._strict:
                    raise
                _LOG.warning("the rest of a video is skipped: %s", error)

    def _samples(self, masklets: NDArray[np.int64]) -> Iterator[Sample]:
        locations = [self.clips.index.row(int(masklet)) for masklet in masklets]
        rows = [MaskletRow(self.clips.index.root, location) for location in locations]
        clips = [
            _Clip(row, clip.positions)
            for row, masklet in zip(rows, masklets, strict=True)
            for clip in self.clips.index.clips_of(int(masklet))
        ]
        return _decode_in_one_pass(clips, partial(self.clips.frames_of, locations[0]))

    def _videos_of_worker(self) -> NDArray[np.int64]:
        """Return the videos of this worker and rank, in the order of this epoch."""
        order = np.arange(len(self._videos))
        if self._shuffle:
            np.random.default_rng([self._seed, int(self._epoch)]).shuffle(order)
        rank, num_ranks = self._ranks
        info = get_worker_info()
        worker, num_workers = (info.id, info.num_workers) if info else (0, 1)
        return order[rank * num_workers + worker :: num_ranks * num_workers]


def _ranks() -> tuple[int, int]:
    """Return the rank of this process and the number of ranks."""
    distributed = torch.distributed
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


@dataclass(frozen=True, slots=True)
class _Clip:
    """Masklet with the positions of the frames of one clip."""

    row: MaskletRow
    positions: range


def _decode_in_one_pass(clips: Sequence[_Clip], read: Read) -> Iterator[Sample]:
    """Yield the samples of all clips of a video, decoding each frame once.

    A sample follows as soon as its last frame is decoded. Only frames that later clips need stay in
    memory.
    """
    timed = [(clip.row.times(clip.positions), clip) for clip in clips]
    timed.sort(key=lambda item: (item[0][-1], item[0][0]))
    wanted = sorted({time for times, _ in timed for time in times})
    frames = iter(read(wanted))
    decoded_frames: dict[int, Frame] = {}
    for (times, clip), first in zip(timed, _still_needed([t[0] for t, _ in timed]), strict=True):
        _decode_to(times[-1].frame_index, frames, decoded_frames)
        yield clip.row.sample(clip.positions, [decoded_frames[time.frame_index] for time in times])
        for index in [index for index in decoded_frames if index < first]:
            del decoded_frames[index]


def _still_needed(firsts: Sequence[FrameTime]) -> list[float]:
    """Return for each clip the first frame that a later clip needs."""
    later = [float(time.frame_index) for time in firsts[1:]]
    return list(accumulate(later[::-1], min, initial=float("inf")))[::-1]


def _decode_to(frame_index: int, frames: Iterator[Frame], decoded_frames: dict[int, Frame]) -> None:
    if frame_index in decoded_frames:
        return
    for frame in frames:
        decoded_frames[frame.frame_index] = frame
        if frame.frame_index == frame_index:
            return
