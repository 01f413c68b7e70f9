"""DAVIS folders, read as its evaluation code does."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from pvtt_flow.export import export
from pvtt_flow.export.formats.davis import davis_palette, write_palette_png
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


@given(data=st.data(), num_objects=st.sampled_from([1, 2, 255]), columns_first=st.booleans())
def test_a_png_has_the_labels_and_colors(
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
    num_objects: int,
    *,
    columns_first: bool,
) -> None:
    """For PIL and OpenCV, in every width, and in both orders in memory."""
    size = data.draw(st.tuples(st.integers(1, 20), st.integers(1, 20)))
    labels = data.draw(arrays(np.uint8, size, elements=st.integers(0, num_objects)))
    path = tmp_path_factory.getbasetemp() / "labels.png"
    write_palette_png(path, np.asfortranarray(labels) if columns_first else labels, num_objects)
    with Image.open(path) as image:
        assert image.mode == "P"
        assert np.array_equal(np.array(image), labels)
        colors = bytes(image.getpalette() or ())
    assert davis_palette().startswith(colors)
    assert len(colors) == (3 * 2 if num_objects == 1 else 3 * 256)
    bgr = cv2.imread(str(path))
    assert bgr is not None
    palette = np.frombuffer(davis_palette(), np.uint8).reshape(256, 3)
    assert np.array_equal(bgr[..., ::-1], palette[labels])


def test_palette() -> None:
    """The first colors of PASCAL VOC's map, as in the official DAVIS files."""
    colors = np.frombuffer(davis_palette(), np.uint8).reshape(256, 3).tolist()
    assert colors[:5] == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128]]
    assert colors[8] == [64, 0, 0]
    assert colors[255] == [224, 224, 192]
