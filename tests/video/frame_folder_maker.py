"""Write folders of images that show their frame number."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PIL import Image

from tests.video.clip_maker import numbered_image


def write_frame_folder(
    folder: Path, numbers: Iterable[int] = range(6), name: str = "{:05d}.jpg", **options: Any
) -> Path:
    """Write one image per number, in a file named after it; `options` are Pillow's."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        image = Image.fromarray(numbered_image(number))
        image.save(folder / name.format(number), **{"quality": 95, **options})
    return folder
