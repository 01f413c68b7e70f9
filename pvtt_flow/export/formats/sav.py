"""SA-V: a folder of masks for each object, or a JSON file for each video.

`sav` has the layout of SA-V's val and test sets (sav_dataset/README.md in facebookresearch/sam2):

    JPEGImages_24fps/<sequence>/00000.jpg     Annotations_6fps/<sequence>/000/00000.png
    <split>.txt

Names of the two folders are those that its evaluator expects; here all frames have a mask.
`sav-json` has that of its training set: `<sequence>.mp4` and `<sequence>_auto.json`.
"""

import json
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from pvtt_flow.export.formats import coco_rows
from pvtt_flow.export.formats.clips import write_clip
from pvtt_flow.export.formats.davis import write_palette_png
from pvtt_flow.export.formats.format import Format, Part, Written
from pvtt_flow.export.formats.pictures import write_jpegs
from pvtt_flow.export.sequence import Sequence
from pvtt_flow.types import Masklet

# Areas in pixels below which SA-V calls a masklet small or medium.
_SMALL_PX, _MEDIUM_PX = 32**2, 96**2


class Sav(Format):
    """Folders of SA-V val and test."""

    name = "sav"
    summary = "SA-V val and test: a folder of PNGs for each object, JPEG frames"

    def write(self, sequence: Sequence, folder: Path) -> Part:
        """Write a PNG for each object and frame, 1 on the object, and the pictures."""
        for masklet in sequence.masklets:
            masks = folder / f"Annotations_6fps/{sequence.name}/{masklet.object_id:03d}"
            masks.mkdir(parents=True)
            for position in range(len(sequence.times)):
                labels = sequence.mask(masklet, position).view(np.uint8)
                write_palette_png(masks / f"{position:05d}.png", labels, num_objects=1)
        if self.options.pictures:
            pictures = folder / "JPEGImages_24fps" / sequence.name
            write_jpegs(pictures, sequence, self.options.jpeg_quality)
        return {}

    def finish(self, written: Written, folder: Path) -> None:
        """Write the list of sequences of each split."""
        for sequence in written():
            path = folder / f"{sequence.facts['split'] or coco_rows.NO_SPLIT}.txt"
            with path.open("a") as names:
                names.write(f"{sequence.facts['sequence']}\n")


class SavJson(Format):
    """Videos and JSON files of SA-V train."""

    name = "sav-json"
    summary = "SA-V train: an mp4 and a JSON file of RLEs for each video"

    def write(self, sequence: Sequence, folder: Path) -> Part:
        """Write the JSON file and the clip."""
        path = folder / f"{sequence.name}_auto.json"
        path.write_text(json.dumps(_annotation(sequence)))
        if self.options.pictures:
            write_clip(folder / f"{sequence.name}.mp4", sequence)
        return {}


def _annotation(sequence: Sequence) -> dict[str, Any]:
    """Return the fields of SA-V; `masklet` is a list over frames of lists over objects."""
    height_px, width_px = sequence.size
    num_frames, masklets = len(sequence.times), sequence.masklets
    areas = [[f.area_px for f in m.frames if f.rle is not None] or [0] for m in masklets]
    mean_areas = [fmean(area) for area in areas]
    return {
        "video_id": sequence.name,
        "video_duration": float(num_frames / sequence.fps),
        "video_frame_count": float(num_frames),
        "video_height": float(height_px),
        "video_width": float(width_px),
        "video_resolution": float(height_px * width_px),
        "video_environment": None,
        "video_split": sequence.split,
        "masklet": [
            [_rle(masklet, position) for masklet in masklets] for position in range(num_frames)
        ],
        "masklet_id": [masklet.object_id for masklet in masklets],
        "masklet_size_rel": [area / (height_px * width_px) for area in mean_areas],
        "masklet_size_abs": mean_areas,
        "masklet_size_bucket": [_bucket(area) for area in mean_areas],
        "masklet_visibility_changes": [m.qc.visibility_flips if m.qc else None for m in masklets],
        "masklet_first_appeared_frame": [_first(masklet) for masklet in masklets],
        "masklet_frame_count": [sum(f.rle is not None for f in m.frames) for m in masklets],
        "masklet_edited_frame_count": [
            len({prompt.frame_index for prompt in masklet.prompts}) for masklet in masklets
        ],
        "masklet_type": ["auto"] * len(masklets),
        "masklet_stability_score": [None] * len(masklets),
        "masklet_num": len(masklets),
    }


def _rle(masklet: Masklet, position: int) -> dict[str, Any]:
    """Return the mask as COCO has it; an object that is absent has an empty mask."""
    size = masklet.height_px, masklet.width_px
    empty = {"size": list(size), "counts": _empty_counts(*size)}
    return coco_rows.rle_of(masklet.frames[position], *size) or empty


def _empty_counts(height_px: int, width_px: int) -> str:
    from pvtt_flow.core import rle

    return rle.encode(np.zeros((height_px, width_px), np.bool_))


def _first(masklet: Masklet) -> float | None:
    seen = (n for n, frame in enumerate(masklet.frames) if frame.rle is not None)
    first = next(seen, None)
    return None if first is None else float(first)


def _bucket(area_px: float) -> str:
    if area_px < _SMALL_PX:
        return "small"
    return "medium" if area_px < _MEDIUM_PX else "large"
