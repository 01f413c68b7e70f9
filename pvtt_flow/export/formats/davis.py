"""DAVIS, YouTube-VOS and MOSE: a palette PNG of all objects for each frame.

    JPEGImages/480p/<sequence>/00000.jpg     Annotations/480p/<sequence>/00000.png
    ImageSets/2017/<split>.txt

Layout and palette are those of the DAVIS 2017 evaluation code (davis2017/davis.py), in which the
resolution is a folder; YouTube-VOS and MOSE have none. Pixel n of a PNG is the n-th object, 0 is
background. Where objects overlap, the later one is in front.
"""

import struct
import zlib
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pvtt_flow.export.formats.format import Format, Part, Written
from pvtt_flow.export.formats.pictures import write_file, write_jpegs
from pvtt_flow.export.sequence import Sequence

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PALETTE_COLORS = 3


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
            path, labels = masks / f"{position:05d}.png", sequence.labels(position)
            write_palette_png(path, labels, num_objects=len(sequence.masklets))
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


def write_palette_png(path: Path, labels: NDArray[np.uint8], num_objects: int) -> None:
    """Write uint8 (H, W) numbers of objects as a PNG with DAVIS's colors.

    Pixels of a single object have one bit (PNG specification, sections 5 and 11).
    """
    bits = 1 if num_objects == 1 else 8
    # Decoded masks are stored column by column; NumPy needs twice as long to turn them.
    pixels = np.asarray(cv2.transpose(labels.T), np.uint8)
    packed = np.packbits(pixels, axis=1) if bits == 1 else pixels
    rows = np.zeros((len(packed), 1 + packed.shape[1]), np.uint8)  # each begins with 0: no filter
    rows[:, 1:] = packed
    # Masks are flat: run lengths are smaller than what the other strategies find, and fastest.
    deflate = zlib.compressobj(1, memLevel=6, strategy=zlib.Z_RLE)
    data = _chunk(b"IDAT", deflate.compress(rows.data) + deflate.flush())
    write_file(path, _head(*labels.shape, bits) + data + _chunk(b"IEND", b""))


@cache
def _head(height_px: int, width_px: int, bits: int) -> bytes:
    """Return what comes before the pixels: signature, header and palette."""
    header = struct.pack(">IIBBBBB", width_px, height_px, bits, _PALETTE_COLORS, 0, 0, 0)
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"PLTE", davis_palette()[: 3 << bits])


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(data, zlib.crc32(kind))
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


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
