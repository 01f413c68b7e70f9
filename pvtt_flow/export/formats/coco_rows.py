"""Values that all formats of the COCO family share."""

from collections.abc import Iterable
from typing import Any

from pvtt_flow.export.sequence import Sequence
from pvtt_flow.types import Masklet, MaskletFrame

NO_SPLIT = "all"


def rle_of(frame: MaskletFrame, height_px: int, width_px: int) -> dict[str, Any] | None:
    """Return the mask as COCO has it; None if the object is absent."""
    return None if frame.rle is None else {"size": [height_px, width_px], "counts": frame.rle}


def bbox_of(frame: MaskletFrame) -> list[int] | None:
    """Return the box as COCO has it, `[x, y, width, height]`; None if the object is absent."""
    if frame.box_xyxy is None:
        return None
    x0, y0, x1, y1 = frame.box_xyxy
    return [x0, y0, x1 - x0, y1 - y0]


def track_of(masklet: Masklet) -> dict[str, Any]:
    """Return the masks, boxes and areas of an object for all frames, null where it is absent."""
    size = masklet.height_px, masklet.width_px
    return {
        "label": masklet.label,
        "masklet_id": masklet.masklet_id,
        "height": masklet.height_px,
        "width": masklet.width_px,
        "segmentations": [rle_of(frame, *size) for frame in masklet.frames],
        "bboxes": [bbox_of(frame) for frame in masklet.frames],
        "areas": [frame.area_px if frame.rle is not None else None for frame in masklet.frames],
    }


def file_names(sequence_name: str, num_frames: int) -> list[str]:
    """Return the names of the pictures, from `<sequence>/00000.jpg` on."""
    return [f"{sequence_name}/{position:05d}.jpg" for position in range(num_frames)]


def split_of(sequence: Sequence) -> str:
    """Return the split of a sequence, `all` without one."""
    return sequence.split or NO_SPLIT


def categories_of(labels: Iterable[str]) -> list[dict[str, Any]]:
    """Return COCO's categories, with ids from 1."""
    return [
        {"id": number, "name": label, "supercategory": "product"}
        for number, label in enumerate(labels, start=1)
    ]


def info() -> dict[str, str]:
    """Return COCO's `info`."""
    from pvtt_flow import __version__

    return {"description": "Exported by pvtt_flow; see export.json", "version": __version__}
