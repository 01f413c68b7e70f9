"""Folders of frames that say which frame they are."""

from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from tests.video.clip_maker import numbered_image


def write_frame_folder(
    folder: Path, numbers: Iterable[int] = range(6), name: str = "{:05d}.jpg", **options: object
) -> Path:
    """A picture for each number, in a file called by it; `options` are Pillow's."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        picture = Image.fromarray(numbered_image(number))
        picture.save(folder / name.format(number), **{"quality": 95, **options})
    return folder
