"""YOLO: a text file of polygons or boxes for each picture.

    images/<split>/<sequence>_00000.jpg     labels/<split>/<sequence>_00000.txt     data.yaml

A row is `class x y x y …` (segmentation) or `class x y width height` (detection), in fractions of
the picture, as ultralytics reads them (ultralytics/data/dataset.py). An object of several pieces,
or with holes, is one polygon whose parts are joined by lines there and back, as ultralytics
converts COCO (`merge_multi_segment`): polygons are exact to about a pixel. Pictures without a
product have an empty file.
"""

from pathlib import Path

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from pvtt_flow.export.formats import coco_rows
from pvtt_flow.export.formats.format import Format, Part, Written
from pvtt_flow.export.formats.pictures import write_jpeg
from pvtt_flow.export.sequence import Sequence
from pvtt_flow.types import Masklet


class YoloSegment(Format):
    """Polygons."""

    name = "yolo-segment"
    summary = "YOLO segmentation of ultralytics: JPEG frames, polygons, data.yaml"

    def write(self, sequence: Sequence, folder: Path) -> Part:
        """Write a text file for each frame, and the picture."""
        split = coco_rows.split_of(sequence)
        labels, images = folder / "labels" / split, folder / "images" / split
        labels.mkdir(parents=True)
        for position in range(len(sequence.times)):
            rows = [self._row(sequence, masklet, position) for masklet in sequence.masklets]
            path = labels / f"{sequence.name}_{position:05d}.txt"
            path.write_text("".join(f"{row}\n" for row in rows if row))
        if self.options.pictures:
            images.mkdir(parents=True)
            for position, frame in enumerate(sequence.frames()):
                path = images / f"{sequence.name}_{position:05d}.jpg"
                write_jpeg(path, frame.rgb, self.options.jpeg_quality)
        return {}

    def finish(self, written: Written, folder: Path) -> None:
        """Write data.yaml."""
        del written
        splits = self.contents.splits or (coco_rows.NO_SPLIT,)
        # ultralytics asks for both.
        sets = {"train": f"images/{splits[0]}", "val": f"images/{splits[-1]}"}
        sets |= {split: f"images/{split}" for split in splits}
        data = {**sets, "names": dict(enumerate(self.contents.labels))}
        (folder / "data.yaml").write_text(yaml.safe_dump(data, allow_unicode=True, sort_keys=False))

    def _number_of(self, masklet: Masklet) -> int:
        return self.contents.labels.index(masklet.label)

    def _row(self, sequence: Sequence, masklet: Masklet, position: int) -> str:
        """Return the row of an object on a frame; empty if it is absent."""
        if masklet.frames[position].rle is None:
            return ""
        polygon = polygon_of(sequence.mask(masklet, position))
        return f"{self._number_of(masklet)} {_text(polygon / sequence.size[::-1])}"


class YoloDetect(YoloSegment):
    """Boxes."""

    name = "yolo-detect"
    summary = "YOLO detection of ultralytics: JPEG frames, boxes, data.yaml"

    def _row(self, sequence: Sequence, masklet: Masklet, position: int) -> str:
        box = masklet.frames[position].box_xyxy
        if box is None:
            return ""
        height_px, width_px = sequence.size
        x0, y0, x1, y1 = box
        values = np.array([(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0])
        fractions = values / [width_px, height_px, width_px, height_px]
        return f"{self._number_of(masklet)} {_text(fractions)}"


def polygon_of(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return one polygon, float64 (N, 2) in pixels, of all pieces and holes of a bool (H, W) mask.

    Contours are joined through their first points, with lines that enclose no area.
    """
    contours, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    rings = [np.concatenate([ring, ring[:1]])[:, 0] for ring in contours]
    back = [ring[:1] for ring in rings[-2::-1]]
    return np.concatenate([*rings, *back]).astype(np.float64)


def _text(values: NDArray[np.float64]) -> str:
    return " ".join(f"{value:.6f}" for value in values.ravel())
