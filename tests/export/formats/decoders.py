"""Decoders of clips and mask videos: what a consumer sees of a file."""

import subprocess
from pathlib import Path
from typing import BinaryIO

import av
import cv2
import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray


def with_pyav(file: Path | BinaryIO) -> list[NDArray[np.uint8]]:
    with av.open(file, "r") as container:
        frames = container.decode(video=0)
        return [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in frames]


def with_opencv(path: Path) -> list[NDArray[np.uint8]]:
    """The rule of DiffuEraser's `read_mask`."""
    capture = cv2.VideoCapture(str(path))
    frames: list[NDArray[np.uint8]] = []
    while True:
        is_read, frame = capture.read()
        if not is_read:
            return frames
        frames.append(np.asarray(frame[:, :, ::-1], np.uint8))


def with_command_line(path: Path) -> list[NDArray[np.uint8]]:
    width_px, height_px = with_pyav(path)[0].shape[1::-1]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path), "-f", "rawvideo"]
    raw = subprocess.run([*command, "-pix_fmt", "rgb24", "-"], capture_output=True, check=True)
    return list(np.frombuffer(raw.stdout, np.uint8).reshape(-1, height_px, width_px, 3))
