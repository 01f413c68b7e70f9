"""Folders of frames that say which frame they are."""

from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from tests.video.clip_maker import coded_picture


def write_frames(
    folder: Path, numbers: Iterable[int] = range(6), name: str = "{:05d}.jpg", **options: object
) -> Path:
    """A picture for each number, in a file called by it; `options` are Pillow's."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        picture = Image.fromarray(coded_picture(number))
        picture.save(folder / name.format(number), **{"quality": 95, **options})
    return folder
