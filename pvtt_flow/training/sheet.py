"""Contact sheet of training clips: what a person should see before a long training run."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pvtt_flow.training.corpus import render_clip
from pvtt_flow.training.render.clip import RenderedClip
from pvtt_flow.training.render.library import Library
from pvtt_flow.training.stills import letterbox

_COLUMNS, _TILE_PX = 3, 256
_NUM_FRAMES = 8
_OUTLINE = (0, 255, 0)


def write_sheet(path: Path, library: Library, num_clips: int) -> None:
    """Draw the first and the last frame of some clips, each beside itself with its outlines."""
    clips = [_row(render_clip("train", _NUM_FRAMES, n, library)) for n in range(num_clips)]
    blank = np.zeros_like(clips[0])
    clips += [blank] * (-num_clips % _COLUMNS)
    rows = [np.hstack(clips[n : n + _COLUMNS]) for n in range(0, len(clips), _COLUMNS)]
    if not cv2.imwrite(str(path), np.vstack(rows)[..., ::-1]):
        raise OSError(f"{path} could not be written; name a folder that exists")


def _row(clip: RenderedClip) -> NDArray[np.uint8]:
    ends = [(clip.frames[t], clip.labels[t]) for t in (0, -1)]
    pictures = [picture for frame, of in ends for picture in (frame, _outlined(frame, of))]
    return np.hstack([letterbox(picture, _TILE_PX)[0] for picture in pictures])


def _outlined(frame: NDArray[np.uint8], labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    drawn = frame.copy()
    for number in np.unique(labels[labels > 0]):
        mask = (labels == number).astype(np.uint8)
        contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(drawn, contours, -1, _OUTLINE, 1)
    return drawn
