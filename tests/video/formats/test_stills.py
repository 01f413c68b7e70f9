"""Pictures, each of which is a video of one frame, turned as their Exif says."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from pvtt_flow.storage.params import InputParams
from pvtt_flow.storage.sources import list_sources
from pvtt_flow.video.probe import probe
from pvtt_flow.video.read import read_frames
from tests.video.clip_maker import moving_image

ORIENTATION = 0x0112


@pytest.mark.parametrize("suffix", ["png", "tiff", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned(tmp_path: Path, suffix: str, orientation: int) -> None:
    path = tmp_path / f"still.{suffix}"
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(moving_image(3)).save(path, exif=exif, lossless=True)
    with path.open("rb") as file:
        video = probe(file, size_bytes=path.stat().st_size)
        (frame,) = read_frames(file)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))
    assert (video.height_px, video.width_px) == frame.rgb.shape[:2] == expected.shape[:2]
    assert (frame.frame_index, frame.pts_ns) == (0, 0)
    # Lossless WebP passes through YUV in FFmpeg's decoder.
    assert np.abs(frame.rgb.astype(int) - expected).max() <= (3 if suffix == "webp" else 0)


def test_a_folder_of_pictures_has_a_video_for_each(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.png", "c.txt", "deep/d.JPG"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        if path.suffix == ".txt":
            path.write_text("no picture")
        else:
            Image.fromarray(moving_image(1)).save(path)
    params = InputParams(uri=str(tmp_path), extensions=("jpg", "png"))
    names = [Path(source.uri).name for source in list_sources(params)]
    assert names == ["a.jpg", "b.png", "d.JPG"]
