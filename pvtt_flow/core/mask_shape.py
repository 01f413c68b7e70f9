"""Shape of a mask: its 8-connected pieces, holes and outline, from the run lengths of its RLE.

A mask has a few thousand runs but millions of pixels. OpenCV's labels with statistics take 20 times
as long on a 1080p mask with specks, and need the decoded mask.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pvtt_flow.core import rle
from pvtt_flow.types import FrameFlag, MaskletFrame

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class MaskShape:
    """Pieces, holes and outline of a mask."""

    fragments: int
    """Number of 8-connected pieces."""
    largest_box_xyxy: tuple[int, ...] | None
    """Tight box, exclusive max, of the fragment with most pixels, of equals the leftmost; None if
    the mask is empty."""
    holes: int
    """Number of 4-connected pieces of background that the mask surrounds."""
    compactness: float | None
    """4 pi area / perimeter^2: 1 for a disc, less for other outlines; None if the mask is empty."""


def shape_of(counts: str, height_px: int) -> MaskShape:
    """Find the shape of a mask of COCO compressed counts."""
    column, top, bottom = _segments(rle.run_lengths(counts), height_px)
    if not len(column):
        return MaskShape(0, None, 0, None)
    left, right = _touching(column, top, bottom, height_px)
    first = _first_connected(left, right, len(column))
    largest = first == np.bincount(first, weights=bottom - top).argmax()
    x0, y0 = column[largest].min(), top[largest].min()
    x1, y1 = column[largest].max() + 1, bottom[largest].max()
    fragments = len(np.unique(first))
    return MaskShape(
        fragments,
        (int(x0), int(y0), int(x1), int(y1)),
        # Segments and the contacts between them are a planar graph: its faces are the holes.
        len(left) - len(column) + fragments,
        _compactness(top, bottom, left, right),
    )


def with_shape(frame: MaskletFrame, height_px: int) -> MaskletFrame:
    """Return the frame with the shape of its mask."""
    if frame.rle is None:
        return frame
    shape = shape_of(frame.rle, height_px)
    return replace(
        frame,
        largest_fragment_box_xyxy=shape.largest_box_xyxy,
        fragments=shape.fragments,
        holes=shape.holes,
        compactness=shape.compactness,
    )


def with_mask(frame: MaskletFrame, mask: NDArray[np.bool_]) -> MaskletFrame:
    """Return the frame with a mask (H, W), its box, area, flags and shape; scores stay."""
    prompted: tuple[FrameFlag, ...] = ("prompted",) if "prompted" in frame.flags else ()
    box_xyxy = rle.box_of(mask)
    if box_xyxy is None:
        return replace(
            frame,
            rle=None,
            box_xyxy=None,
            largest_fragment_box_xyxy=None,
            area_px=0,
            fragments=0,
            holes=0,
            compactness=None,
            flags=(*prompted, "absent"),
        )
    border: tuple[FrameFlag, ...] = ("border",) if rle.touches_border(box_xyxy, *mask.shape) else ()
    present = replace(
        frame,
        rle=rle.encode(mask),
        box_xyxy=box_xyxy,
        area_px=int(np.count_nonzero(mask)),
        flags=prompted + border,
    )
    return with_shape(present, len(mask))


def with_previous_iou(
    frames: Iterable[MaskletFrame], height_px: int, width_px: int
) -> tuple[MaskletFrame, ...]:
    """Return the frames of a masklet, in order, with the IoU of each mask and the one before."""
    compared: list[MaskletFrame] = []
    before: str | None = None
    for frame in frames:
        both = before is not None and frame.rle is not None
        iou = rle.iou(before, frame.rle, height_px, width_px) if both else None
        compared.append(replace(frame, previous_iou=iou))
        before = frame.rle
    return tuple(compared)


def _compactness(top: Ints, bottom: Ints, left: Ints, right: Ints) -> float:
    """Return the compactness of segments that touch by pairs `left` and `right`.

    The perimeter is Cauchy and Crofton's in four directions (Legland, Kieu and Devaux, Computation
    of Minkowski measures on 2D and 3D binary images, 2007): lines in a direction cross the outline
    twice for each of their runs, and lines along a diagonal are closer by sqrt(2).
    """
    area = int((bottom - top).sum())

    def runs(slope: int) -> int:
        """Count the runs along lines that go down `slope` pixels with each column."""
        shared = np.minimum(bottom[left] + slope, bottom[right])
        shared -= np.maximum(top[left] + slope, top[right])
        return area - int(np.maximum(shared, 0).sum())

    straight, diagonal = len(top) + runs(0), runs(-1) + runs(1)
    perimeter = math.pi / 4 * (straight + diagonal / math.sqrt(2))
    # Outlines of a few pixels are not exact.
    return min(1.0, 4 * math.pi * area / perimeter**2)


def _segments(run_lengths: Ints, height_px: int) -> tuple[Ints, Ints, Ints]:
    """Return column, top and bottom (exclusive) of the mask's runs, cut where a column ends."""
    ends = np.cumsum(run_lengths)
    stops = ends[1::2]
    starts = ends[::2][: len(stops)]
    columns = starts // height_px
    num_columns = (stops - 1) // height_px - columns + 1
    run = np.repeat(np.arange(len(stops)), num_columns)
    column = columns[run] + _ranks(num_columns)
    top = np.maximum(starts[run] - column * height_px, 0)
    bottom = np.minimum(stops[run] - column * height_px, height_px)
    return column, top, bottom


def _touching(column: Ints, top: Ints, bottom: Ints, height_px: int) -> tuple[Ints, Ints]:
    """Return the pairs of segments of adjacent columns that touch, also by a corner."""
    # Places on a line on which those of one column never reach those of the next.
    stride = height_px + 2
    low, high = column * stride + top, column * stride + bottom
    begin = np.searchsorted(high, low - stride, "left")
    num_left = np.searchsorted(low, high - stride, "right") - begin
    right = np.repeat(np.arange(len(column)), num_left)
    return begin[right] + _ranks(num_left), right


def _first_connected(left: Ints, right: Ints, count: int) -> Ints:
    """Return for each of `count` segments the first one that it is connected to by pairs."""
    first = np.arange(count)
    while ((a := first[left]) != (b := first[right])).any():
        np.minimum.at(first, np.maximum(a, b), np.minimum(a, b))
        while (first[first] != first).any():
            first = first[first]
    return first


def _ranks(sizes: Ints) -> Ints:
    """Return 0, 1, … within each group: `[2, 3]` gives `[0, 1, 0, 1, 2]`."""
    return np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
