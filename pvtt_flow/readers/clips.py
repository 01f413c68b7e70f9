"""Clips of masklets for torch: by number, or as a stream.

A sample is a dictionary that torchvision's v2 transforms understand as a whole, so that a resize
or a crop moves frames, masks and boxes together:

    frames       tv_tensors.Video, uint8 (T, 3, H, W) RGB, upright, display pixels
    masks        tv_tensors.Mask, bool (T, H, W), all False where the object is absent
    boxes_xyxy   tv_tensors.BoundingBoxes, float32 (T, 4), 0 where the object is absent
    present      bool (T,)
    frame_index  int64 (T,), in the video
    pts_ns       int64 (T,), presentation time
    video_id, masklet_id, label   str
"""

import logging
import os
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from pvtt_flow.errors import DataError
from pvtt_flow.readers.clip_index import Catalog
from pvtt_flow.readers.sample import MaskletRow, Sample
from pvtt_flow.readers.single_pass import Clip, swept
from pvtt_flow.readers.source_frames import Locate, frames_of

_LOG = logging.getLogger(__name__)
Transform: TypeAlias = Callable[[Sample], Any]


class Clips(Dataset[Any]):
    """Every clip by its number; seeks in the source for each.

    Indexing raises DataError when the source cannot be read any more.
    """

    def __init__(
        self, catalog: Catalog, transform: Transform | None, locate: Locate | None
    ) -> None:
        self.catalog = catalog
        self._transform = transform
        self.locate = locate

    def __len__(self) -> int:
        return len(self.catalog)

    def __getitem__(self, number: int) -> Any:
        if not -len(self) <= number < len(self):
            raise IndexError(f"clip must be below {len(self)}, got {number}")
        clip = self.catalog.clip(number % len(self))
        place = self.catalog.row(clip.masklet)
        row = MaskletRow(self.catalog.root, place)
        frames = list(frames_of(place, row.times(clip.positions), self.locate))
        sample = row.sample(clip.positions, frames)
        return self.transformed(sample)

    def transformed(self, sample: Sample) -> Any:
        """What the transform makes of a sample."""
        return self._transform(sample) if self._transform else sample

    def stream(
        self,
        *,
        shuffle: bool = False,
        seed: int = 0,
        strict: bool = True,
        ranks: tuple[int, int] | None = None,
    ) -> "ClipStream":
        """Every clip once an epoch, video by video: each video is opened and decoded once.

        The videos are divided among a loader's workers and among ranks: `ranks` is this one and
        their number, by default as torch.distributed or torchrun tells. `shuffle` gives the videos
        another order for each `set_epoch`. A video that cannot be read raises or, unless `strict`,
        is skipped with a warning.
        """
        return ClipStream(self, shuffle=shuffle, seed=seed, strict=strict, ranks=ranks or _ranks())


class ClipStream(IterableDataset[Any]):
    """Every clip once an epoch, video by video, each decoded once; see `Clips.stream`."""

    def __init__(
        self, clips: Clips, *, shuffle: bool, seed: int, strict: bool, ranks: tuple[int, int]
    ) -> None:
        self.clips = clips
        self._videos = clips.catalog.videos  # once, for all workers
        self._ranks = ranks
        self._shuffle = shuffle
        self._seed = seed
        self._strict = strict
        # Shared, so that workers which outlive an epoch see the next one.
        self._epoch = torch.zeros((), dtype=torch.int64)
        self._epoch.share_memory_()  # type: ignore[no-untyped-call]

    def set_epoch(self, epoch: int) -> None:
        """Which order of the videos comes next; call it before each epoch, in the main process."""
        self._epoch.fill_(epoch)

    def __iter__(self) -> Iterator[Any]:
        for number in self._mine():
            try:
                for sample in self._samples(self._videos[number]):
                    yield self.clips.transformed(sample)
            except DataError as error:
                if self._strict:
                    raise
                _LOG.warning("the rest of a video is skipped: %s", error)

    def _samples(self, masklets: NDArray[np.int64]) -> Iterator[Sample]:
        places = [self.clips.catalog.row(int(masklet)) for masklet in masklets]
        rows = [MaskletRow(self.clips.catalog.root, place) for place in places]
        clips = [
            Clip(row, place.positions)
            for row, masklet in zip(rows, masklets, strict=True)
            for place in self.clips.catalog.clips_of(int(masklet))
        ]
        return swept(clips, lambda wanted: frames_of(places[0], wanted, self.clips.locate))

    def _mine(self) -> NDArray[np.int64]:
        """The videos of this worker of this rank, in this epoch's order."""
        order = np.arange(len(self._videos))
        if self._shuffle:
            np.random.default_rng([self._seed, int(self._epoch)]).shuffle(order)
        rank, num_ranks = self._ranks
        info = get_worker_info()
        worker, num_workers = (info.id, info.num_workers) if info else (0, 1)
        return order[rank * num_workers + worker :: num_ranks * num_workers]


def _ranks() -> tuple[int, int]:
    """This process's rank and how many there are."""
    distributed = torch.distributed
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
