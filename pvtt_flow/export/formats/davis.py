"""DAVIS, YouTube-VOS and MOSE: a palette PNG of all objects for each frame.

    JPEGImages/480p/<sequence>/00000.jpg     Annotations/480p/<sequence>/00000.png
    ImageSets/2017/<split>.txt

Layout and palette are those of the DAVIS 2017 evaluation code (davis2017/davis.py), in which the
resolution is a folder; YouTube-VOS and MOSE have none. Pixel n of a PNG is the n-th object, 0 is
background. Where objects overlap, the later one is in front.
"""

import io
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pvtt_flow.export.formats.format import Format, Part, Written
from pvtt_flow.export.formats.pictures import write_jpegs
from pvtt_flow.export.sequence import Sequence


class Davis(Format):
    """Folders of DAVIS 2017."""

    name = "davis"
    summary = "DAVIS 2017: palette PNGs with all objects, JPEG frames, ImageSets"
    _resolution = "480p/"
    _sets = "ImageSets/2017"

    def write(self, sequence: Sequence, folder: Path) -> Part:
        """Write a PNG of all objects, and the picture, for each frame."""
        masks = _made(folder / f"Annotations/{self._resolution}{sequence.name}")
        for position in range(len(sequence.times)):
            write_palette_png(masks / f"{position:05d}.png", sequence.labels(position))
        if self.options.pictures:
            pictures = folder / f"JPEGImages/{self._resolution}{sequence.name}"
            write_jpegs(pictures, sequence, self.options.jpeg_quality)
        return {}

    def finish(self, written: Written, folder: Path) -> None:
        """Write the list of sequences of each split."""
        sets = _made(folder / self._sets)
        for sequence in written():
            with (sets / f"{sequence.facts['split'] or 'all'}.txt").open("a") as names:
                names.write(f"{sequence.facts['sequence']}\n")


class YouTubeVos(Davis):
    """Folders of YouTube-VOS and MOSE."""

    name = "youtube-vos"
    summary = "YouTube-VOS and MOSE: as davis, without the folder of the resolution"
    _resolution = ""
    _sets = "ImageSets"


def write_palette_png(path: Path, labels: NDArray[np.uint8]) -> None:
    """Write uint8 (H, W) numbers of objects as a PNG with DAVIS's colors."""
    image = Image.fromarray(labels, mode="P")
    image.putpalette(davis_palette())
    data = io.BytesIO()
    # Masks are flat: the lowest level is as small as the default one, and four times faster.
    image.save(data, "png", compress_level=1)
    path.write_bytes(data.getvalue())


@cache
def davis_palette() -> bytes:
    """Return 256 RGB colors: PASCAL VOC's color map (`VOClabelcolormap` of its devkit)."""
    colors = np.zeros((256, 3), np.uint8)
    for number in range(256):
        for bit in range(8):
            for channel in range(3):
                colors[number, channel] |= (number >> (3 * bit + channel) & 1) << (7 - bit)
    return colors.tobytes()


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
