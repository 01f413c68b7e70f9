"""Masks as COCO compressed run lengths, the form in which they are stored and travel.

The counts are kept as text; together with the picture's size they make the dictionary that
pycocotools and every COCO reader take: `{"size": [height, width], "counts": rle}`.
"""

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

Mask = NDArray[np.bool_]


def encode(mask: Mask) -> str:
    """COCO compressed counts of a bool (H, W) mask."""
    # Columns first, as COCO counts; the encoder wants to be able to write.
    columns = np.require(mask, np.bool_, ["F", "W"])
    return str(coco.encode(columns.view(np.uint8))["counts"], "ascii")


def decode(rle: str, height_px: int, width_px: int) -> Mask:
    """The bool (H, W) mask of compressed counts."""
    found = coco.decode({"size": [height_px, width_px], "counts": rle.encode("ascii")})
    return np.asarray(found, dtype=np.bool_)


def iou(a: str | None, b: str | None, height_px: int, width_px: int) -> float:
    """Intersection over union of two masks' counts; None is empty, and two empty masks agree."""
    if a is None or b is None:
        return float(a is b)
    size = [height_px, width_px]
    one, other = ({"size": size, "counts": counts.encode("ascii")} for counts in (a, b))
    if not coco.area(one) and not coco.area(other):
        return 1.0
    return float(coco.iou([one], [other], [0])[0, 0])


def fits(rle: str, height_px: int, width_px: int) -> bool:
    """Whether the counts are well formed and cover exactly such a picture.

    For counts from outside: the decoder trusts its input. The form is COCO's (`rleToString` in
    cocoapi's maskApi.c): base 32 with a continuation bit, from the third run on as differences.
    """
    runs: list[int] = []
    value = shift = 0
    for char in rle:
        digit = ord(char) - 48
        if not 0 <= digit < 64 or shift > 60:
            return False
        value |= (digit & 31) << shift
        shift += 5
        if digit & 32:
            continue
        if digit & 16:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    return shift == 0 and min(runs, default=-1) >= 0 and sum(runs) == height_px * width_px


def box_of(mask: Mask) -> tuple[int, int, int, int] | None:
    """The tight `box_xyxy` (exclusive max) of a bool (H, W) mask; None when it is empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def touches_border(box_xyxy: tuple[int, ...], height_px: int, width_px: int) -> bool:
    """Whether a tight box reaches the edge of the picture."""
    x0, y0, x1, y1 = box_xyxy
    return x0 == 0 or y0 == 0 or x1 == width_px or y1 == height_px


def num_fragments(mask: Mask, box_xyxy: tuple[int, ...]) -> int:
    """8-connected pieces of a mask; `box_xyxy` is its tight box, so that only that is scanned."""
    x0, y0, x1, y1 = box_xyxy
    inside = mask[y0:y1, x0:x1].view(np.uint8)
    # OpenCV wants rows together in memory; a transposed mask has as many pieces.
    rows = inside if inside.strides[1] == 1 else inside.T
    num_labels, _ = cv2.connectedComponents(rows, connectivity=8)
    return int(num_labels) - 1
