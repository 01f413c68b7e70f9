"""DAVIS folders, read as its evaluation code does."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pvtt_flow.export import export
from pvtt_flow.export.formats.davis import davis_palette
from tests.readers.sample_dataset import NUM_FRAMES, STRIDE, Processed, mask_of
from tests.video.clip_maker import number_of


@pytest.mark.parametrize(("name", "resolution"), [("davis", "480p/"), ("youtube-vos", "")])
def test_masks_and_pictures(dataset: Processed, tmp_path: Path, name: str, resolution: str) -> None:
    export(dataset.uri, name, str(tmp_path / "to"), split="train=1.0")
    for video, num_objects in (("a", 2), ("b", 1)):
        masks = sorted((tmp_path / f"to/Annotations/{resolution}{video}").iterdir())
        pictures = sorted((tmp_path / f"to/JPEGImages/{resolution}{video}").iterdir())
        names = [f"{number:05d}" for number in range(NUM_FRAMES // STRIDE)]
        assert [path.name for path in masks] == [f"{name}.png" for name in names]
        assert [path.name for path in pictures] == [f"{name}.jpg" for name in names]
        for position, (mask, picture) in enumerate(zip(masks, pictures, strict=True)):
            frame = position * STRIDE
            # davis2017/davis.py: np.array(Image.open(msk)), one-hot by value.
            with Image.open(mask) as image:
                assert image.mode == "P"
                assert bytes(image.getpalette() or ())[:6] == bytes([0, 0, 0, 128, 0, 0])
                labels = np.array(image)
            expected = np.zeros_like(labels)
            for object_id in range(num_objects):
                expected[mask_of(object_id, frame)] = object_id + 1
            assert np.array_equal(labels, expected)
            assert number_of(np.array(Image.open(picture))) == frame
    sets = "ImageSets/2017" if resolution else "ImageSets"
    assert (tmp_path / "to" / sets / "train.txt").read_text().split() == ["a", "b"]


def test_palette() -> None:
    """The first colors of PASCAL VOC's map, as in the official DAVIS files."""
    colors = np.frombuffer(davis_palette(), np.uint8).reshape(256, 3).tolist()
    assert colors[:5] == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128]]
    assert colors[8] == [64, 0, 0]
    assert colors[255] == [224, 224, 192]
