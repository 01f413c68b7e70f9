"""PVTT bundle: a folder for each masklet, for product video template transfer.

    <sequence>_o000/
        clip.mp4             pictures, H.264 CRF 18
        mask.mkv             master: white is the object, as it was tracked (FFV1)
        mask_grown.mkv       dilated by an ellipse
        mask_hull.mkv        its convex hull            mask_box.mkv       its box
        boxes.json           boxes of each frame: tight, largest fragment, loose and smooth
        first_frame.png      first picture              first_region.png   the object's box on it
        cutout.png           object with alpha, from its best frame
        cutout_distant.png   likewise, from a frame far from that one, if there is one
        bundle.json          times, lineage, measurements, parameters and checksums

Frame i of every file is frame i of the clip. An absent object has a black mask and no box.
"""

import shutil
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvtt_flow.core import box_track
from pvtt_flow.core.growth import grow
from pvtt_flow.core.mask_shape import shape_of
from pvtt_flow.core.profile import Shape
from pvtt_flow.export.cutout_pictures import Cutouts
from pvtt_flow.export.formats.clips import write_clip
from pvtt_flow.export.formats.format import Format, Part
from pvtt_flow.export.formats.json_lists import write_json
from pvtt_flow.export.formats.pictures import write_png
from pvtt_flow.export.sequence import Sequence
from pvtt_flow.storage.folder import sha256_of
from pvtt_flow.types import Frame, Lineage, Masklet, MaskletFrame
from pvtt_flow.video.encode import FFV1, write_video

# Parameters of the variants, which bundle.json has too.
_LOOSENED_BY = 0.1
_SIGMA_FRAMES = 2.0
# 10 px at 480 lines, as VACE's users grow masks.
_GROWN_BY = 1 / 48
_LINEAGE = ("work_key", *(field.name for field in fields(Lineage)))


class Pvtt(Format):
    """Bundles of masks, boxes, regions and cut-outs."""

    name = "pvtt"
    summary = "PVTT bundle: masks, grown masks, boxes, first region and cut-outs of each object"

    def write(self, sequence: Sequence, folder: Path) -> Part:
        """Write a bundle for each masklet."""
        clip = folder / "clip.mp4"
        picks = _Picks(sequence)
        if self.options.pictures:
            write_clip(clip, sequence, picks.see)
        for masklet in sequence.masklets:
            home = folder / f"{sequence.name}_o{masklet.object_id:03d}"
            home.mkdir()
            if self.options.pictures:
                shutil.copyfile(clip, home / "clip.mp4")
                picked = picks.write(masklet, home)
            else:
                picked = {}
            _write_masks(sequence, masklet, home)
            write_json(home / "boxes.json", _boxes(sequence, masklet))
            write_json(home / "bundle.json", _facts(sequence, masklet, home) | picked)
        clip.unlink(missing_ok=True)
        return {}


def _variants(sequence: Sequence) -> dict[str, tuple[Shape | None, int]]:
    """Return shape and radius in pixels by which each mask file grows."""
    return {
        "mask": (None, 0),
        "mask_grown": ("ellipse", max(1, round(_GROWN_BY * min(sequence.size)))),
        "mask_hull": ("hull", 0),
        "mask_box": ("box", 0),
    }


def _write_masks(sequence: Sequence, masklet: Masklet, home: Path) -> None:
    for name, (shape, radius_px) in _variants(sequence).items():
        masks = (sequence.mask(masklet, position) for position in range(len(sequence.times)))
        grown = (mask if shape is None else grow(mask, shape, radius_px) for mask in masks)
        pictures = (mask.astype(np.uint8) * 255 for mask in grown)
        write_video(home / f"{name}{FFV1.suffix}", pictures, sequence.fps, FFV1)


def _boxes(sequence: Sequence, masklet: Masklet) -> dict[str, Any]:
    height_px, width_px = sequence.size
    tight = box_track.track_of([frame.box_xyxy for frame in masklet.frames])
    largest = box_track.track_of([_largest_fragment(frame, height_px) for frame in masklet.frames])
    tracks = {
        "tight": tight,
        "largest_fragment": largest,
        "loose": box_track.loosened(tight, _LOOSENED_BY, width_px, height_px),
        "smooth": box_track.smoothed(largest, _SIGMA_FRAMES),
    }
    fractions = {
        name: box_track.normalized(track, width_px, height_px) for name, track in tracks.items()
    }
    return {
        "width_px": width_px,
        "height_px": height_px,
        "fps": [sequence.fps.numerator, sequence.fps.denominator],
        "loosened_by": _LOOSENED_BY,
        "smoothed_by_sigma_frames": _SIGMA_FRAMES,
        "present": [frame.rle is not None for frame in masklet.frames],
        "boxes_xyxy": {name: _rows(track, 3) for name, track in tracks.items()},
        "boxes_xyxy_fractions": {name: _rows(track, 6) for name, track in fractions.items()},
    }


def _largest_fragment(frame: MaskletFrame, height_px: int) -> tuple[int, ...] | None:
    """Return the box of the largest fragment, which rows of older datasets do not have."""
    if frame.rle is None or frame.largest_fragment_box_xyxy is not None:
        return frame.largest_fragment_box_xyxy
    return shape_of(frame.rle, height_px).largest_box_xyxy


def _rows(track: NDArray[np.float64], decimals: int) -> list[list[float] | None]:
    """Return boxes for JSON, null where the object is absent."""
    return [None if np.isnan(row).any() else row.round(decimals).tolist() for row in track]


class _Picks:
    """Pictures that are taken while the clip is written: the first one, and cut-outs."""

    def __init__(self, sequence: Sequence) -> None:
        self._cutouts = {m.masklet_id: Cutouts(sequence, m) for m in sequence.masklets}
        self._first = np.zeros((0, 0, 3), np.uint8)

    def see(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """Pass frames on, and take what is wanted."""
        for position, frame in enumerate(frames):
            if position == 0:
                self._first = frame.rgb.copy()
            for found in self._cutouts.values():
                found.see(position, frame.rgb)
            yield frame

    def write(self, masklet: Masklet, home: Path) -> dict[str, Any]:
        """Write first picture, region and cut-outs; return where they are from."""
        write_png(home / "first_frame.png", self._first)
        region = masklet.frames[0].box_xyxy
        if region is not None:
            x0, y0, x1, y1 = region
            write_png(home / "first_region.png", self._first[y0:y1, x0:x1])
        found = self._cutouts[masklet.masklet_id]
        picked: dict[str, Any] = {"first_region_xyxy": region}
        for name, cutout in (("cutout", found.best), ("cutout_distant", found.distant)):
            if cutout is not None:
                write_png(home / f"{name}.png", cutout.rgba)
                picked[name] = cutout.facts
        return picked


def _facts(sequence: Sequence, masklet: Masklet, home: Path) -> dict[str, Any]:
    facts = {name: value for name, value in sequence.facts().items() if name != "objects"}
    return facts | {
        "masklet_id": masklet.masklet_id,
        "object_id": masklet.object_id,
        "label": masklet.label,
        "verdict": masklet.verdict,
        "reasons": masklet.reasons,
        "qc": asdict(masklet.qc) if masklet.qc else None,
        "lineage": {name: getattr(masklet, name) for name in _LINEAGE},
        "masks": {
            name: {"shape": shape, "radius_px": radius_px}
            for name, (shape, radius_px) in _variants(sequence).items()
        },
        "sha256": {path.name: sha256_of(path) for path in sorted(home.iterdir())},
    }
