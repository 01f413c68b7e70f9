"""Dataset of one video that is long enough for every profile, with numbers in its pictures."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pvtt_flow.core import ids
from pvtt_flow.core.placed_pixels import inside
from pvtt_flow.core.placement import Placement
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.storage.listing import stat_all
from tests.dataset.dataset_rows import masklet, measurements, video_record
from tests.export.odd_dataset import frame_of
from tests.video.clip_maker import encode_images, number_of, numbered_image

NUM_FRAMES = 190
WIDTH_PX, HEIGHT_PX = 96, 64
PERIOD_NS = 40_000_000
ABSENT = range(160, 164)
SPECKS = range(40, 60)
# Left and top of the number, away from the border and the product.
_CODE_X, _CODE_Y = 16, 16


@dataclass(frozen=True)
class LongDataset:
    """Location of the dataset and its video."""

    uri: str
    video: Path


def mask_of(object_id: int, position: int) -> NDArray[np.bool_]:
    """A ring with specks on some frames, or nearly the whole picture for object 1."""
    mask = ring_of(position)
    if object_id == 1:
        mask[2:62, 2:94] = True
    elif position in SPECKS:
        mask[56:58, 70:72] = True
    return mask


def ring_of(position: int) -> NDArray[np.bool_]:
    """Return a ring that moves, mostly to the right."""
    mask = np.zeros((HEIGHT_PX, WIDTH_PX), np.bool_)
    if position not in ABSENT:
        left, top = 20 + position // 5, 30 + position // 60
        mask[top : top + 22, left : left + 24] = True
        mask[top + 6 : top + 14, left + 8 : left + 16] = False
    return mask


def number_at(rgb: NDArray[np.uint8], placement: Placement) -> int:
    """Return the number in a picture that was scaled and cut."""
    area = inside(placement, WIDTH_PX, HEIGHT_PX)
    x0, x1 = (area.left_px + round(x * placement.scale_x) for x in (_CODE_X, _CODE_X + 64))
    y0, y1 = (area.top_px + round(y * placement.scale_y) for y in (_CODE_Y, _CODE_Y + 8))
    code = cv2.resize(np.ascontiguousarray(rgb[y0:y1, x0:x1]), (64, 8))
    return number_of(np.asarray(code, np.uint8))


def make_long_dataset(folder: Path, attributes: dict[str, str]) -> LongDataset:
    """Make a video at 25 fps with two products."""
    path = folder / "long.mp4"
    images = [_image(number) for number in range(NUM_FRAMES)]
    encode_images(path, images, options={"preset": "veryfast", "crf": "20"})
    dataset = Dataset(str(folder / "dataset"))
    dataset.ensure()
    shot_id = ids.shot_id("long", 0, 0)
    rows = [
        masklet(
            "long",
            object_id,
            masklet_id=ids.masklet_id(shot_id, object_id),
            width_px=WIDTH_PX,
            height_px=HEIGHT_PX,
            frames=tuple(
                frame_of(mask_of(object_id, position), position, position * PERIOD_NS)
                for position in range(NUM_FRAMES)
            ),
            qc=measurements(0.8, num_frames=NUM_FRAMES),
        )
        for object_id in (0, 1)
    ]
    (info,) = stat_all([str(path)])
    video = video_record(
        "long",
        num_masklets=len(rows),
        uri=str(path),
        etag=info.etag,
        size_bytes=info.size_bytes,
        width_px=WIDTH_PX,
        height_px=HEIGHT_PX,
        num_frames=NUM_FRAMES,
        attributes=attributes,
    )
    dataset.commit(dataset.write_masklets(rows), [video], run_id="r1")
    return LongDataset(dataset.uri, path)


def _image(number: int) -> NDArray[np.uint8]:
    rgb = np.full((HEIGHT_PX, WIDTH_PX, 3), 90, np.uint8)
    rgb[_CODE_Y : _CODE_Y + 8, _CODE_X : _CODE_X + 64] = numbered_image(number)[:8, :64]
    return rgb
