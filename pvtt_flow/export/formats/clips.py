"""Clips and mask videos: frame i of one is frame i of the other.

All have a constant rate, since tools that resample a variable one would shift frames; the real
times are in sequences.jsonl.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pvtt_flow.export.sequence import Sequence
from pvtt_flow.types import Frame, Masklet
from pvtt_flow.video.encode import CLIP, CLIP_444, Encoding, write_video


def write_clip(
    path: Path,
    sequence: Sequence,
    see: Callable[[Iterator[Frame]], Iterator[Frame]] = lambda frames: frames,
) -> int:
    """Write the pictures of a sequence as H.264, CRF 18; return their number.

    `see` gets the frames on their way.
    """
    height_px, width_px = sequence.size
    encoding = CLIP_444 if height_px % 2 or width_px % 2 else CLIP
    pictures = (frame.rgb for frame in see(sequence.frames()))
    return write_video(path, pictures, sequence.fps, encoding)


def write_mask_video(path: Path, sequence: Sequence, masklet: Masklet, encoding: Encoding) -> int:
    """Write the masks of an object, 255 on the object and 0 elsewhere; return their number."""
    return write_video(path, _pictures(sequence, masklet), sequence.fps, encoding)


def _pictures(sequence: Sequence, masklet: Masklet) -> Iterator[NDArray[np.uint8]]:
    for position in range(len(sequence.times)):
        yield sequence.mask(masklet, position).astype(np.uint8) * 255
