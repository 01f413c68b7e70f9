"""Masks as COCO compressed run-length encoding (RLE), the form in which they are stored.

The counts are text. With the picture's size they make the dictionary that pycocotools and every
COCO reader take: `{"size": [height, width], "counts": rle}`.
"""

import json
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

Mask = NDArray[np.bool_]
# COCO's counts have 32 bits.
_MAX_PIXELS = (1 << 32) - 1


def encode(mask: Mask) -> str:
    """Return the COCO compressed counts of a bool (H, W) mask."""
    # COCO counts column by column, and its encoder asks for a writable array.
    columns = np.require(mask, np.bool_, ["F", "W"])
    return str(coco.encode(columns.view(np.uint8))["counts"], "ascii")


def decode(rle: str, height_px: int, width_px: int) -> Mask:
    """Return the bool (H, W) mask of compressed counts, stored column by column.

    Two to five times as fast as COCO's own decoder, which writes byte by byte. Raises ValueError
    for counts of another number of pixels.
    """
    lengths = run_lengths(rle)
    # Before memory is taken: damaged counts may claim any number.
    if lengths.min() < 0 or lengths.sum() != height_px * width_px:
        raise ValueError(
            f"counts must be of a mask of {width_px}x{height_px} pixels, got {lengths.sum()} pixels"
        )
    is_object = np.arange(len(lengths)) % 2 == 1
    return np.repeat(is_object, lengths).reshape(width_px, height_px).T


def run_lengths(counts: str) -> NDArray[np.int64]:
    """Return the lengths of the runs of compressed counts, int64 (N,), down the columns, background
    first.

    The format is that of `rleToString` in cocoapi's maskApi.c: base 32 with a continuation bit;
    from the fourth run on, a count is stored as the difference from the count two runs before.
    """
    digits = np.frombuffer(counts.encode("ascii"), np.uint8).astype(np.int64) - 48
    last = np.flatnonzero(digits < 32)
    first = np.concatenate(([0], last[:-1] + 1))
    num_digits = last - first + 1
    shift = 5 * (np.arange(len(digits)) - np.repeat(first, num_digits))
    lengths = np.add.reduceat((digits & 31) << shift, first)
    lengths -= np.where(digits[last] & 16, 1 << 5 * num_digits, 0)
    lengths[1::2] = np.cumsum(lengths[1::2])
    lengths[2::2] = np.cumsum(lengths[2::2])  # the first run is nobody's predecessor
    return lengths


def iou(a: str | None, b: str | None, height_px: int, width_px: int) -> float:
    """Return intersection over union of two masks; None is empty, and two empty masks give 1."""
    if a is None or b is None:
        return float(a is b)
    size = [height_px, width_px]
    rle_a, rle_b = ({"size": size, "counts": counts.encode("ascii")} for counts in (a, b))
    if not coco.area(rle_a) and not coco.area(rle_b):
        return 1.0
    return float(coco.iou([rle_a], [rle_b], [0])[0, 0])


def to_text(mask: Mapping[str, object]) -> str:
    """Return COCO's own form of a mask, `{"size": [height, width], "counts": ...}`, as JSON text.

    Counts are text, or a list of run lengths, which is compressed. Raises ValueError for other
    values.
    """
    size, counts = mask.get("size"), mask.get("counts")
    if mask.keys() != {"size", "counts"}:
        raise ValueError(f"must have the keys size and counts, got {', '.join(map(str, mask))}")
    if not isinstance(size, list) or len(size) != 2 or not all(map(_is_natural, size)):
        raise ValueError(f"must have a size of [height, width], got {size}")
    if max(*size, size[0] * size[1]) > _MAX_PIXELS:
        raise ValueError(f"must have a size of at most {_MAX_PIXELS} pixels, got {size}")
    if isinstance(counts, list):
        if not all(map(_is_natural, counts)) or sum(counts) != size[0] * size[1]:
            raise ValueError(f"must have run lengths of {size[0]}x{size[1]} pixels, got others")
        counts = str(coco.frPyObjects({"size": size, "counts": counts}, *size)["counts"], "ascii")
    if not isinstance(counts, str):
        kind = type(counts).__name__
        raise ValueError(f"must have counts that are text or a list, got {kind}")  # noqa: TRY004
    return json.dumps({"size": size, "counts": counts})


def from_text(text: str) -> tuple[str, tuple[int, int] | None]:
    """Return the compressed counts and the size (height, width) of `to_text`, or of counts alone.

    Raises ValueError for text of another form.
    """
    if not text.startswith("{"):
        return text, None
    mask = json.loads(to_text(json.loads(text)))
    height_px, width_px = mask["size"]
    return mask["counts"], (height_px, width_px)


def _is_natural(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def fits(rle: str, height_px: int, width_px: int) -> bool:
    """Return whether the counts are well formed and cover exactly a picture of this size.

    Counts from outside must pass this first, since COCO's decoder and `run_lengths`, which tells
    their format, trust their input.
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
    """Return the tight `box_xyxy` (exclusive max) of a bool (H, W) mask; None if it is empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def touches_border(box_xyxy: tuple[int, ...], height_px: int, width_px: int) -> bool:
    """Return whether a tight box touches the border of the picture."""
    x0, y0, x1, y1 = box_xyxy
    return x0 == 0 or y0 == 0 or x1 == width_px or y1 == height_px
