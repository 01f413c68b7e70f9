"""YOLO files, read by ultralytics' own dataset."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from ultralytics.data.dataset import YOLODataset
from ultralytics.data.utils import check_det_dataset

from pvtt_flow.core import rle
from pvtt_flow.export import export
from pvtt_flow.export.formats.yolo import polygon_of
from tests.export.odd_dataset import ABSENT, LABELS, NUM_FRAMES, SIZES, OddDataset, mask_of


def read(folder: Path, task: str) -> dict[str, Any]:
    """Labels of each picture by file name."""
    data = check_det_dataset(str(folder / "data.yaml"), autodownload=False)
    assert data["names"] == dict(enumerate(LABELS))
    dataset = YOLODataset(img_path=data["val"], data=data, task=task, augment=False)
    return {Path(label["im_file"]).stem: label for label in dataset.labels}


@pytest.mark.parametrize("name", ["segment", "detect"])
def test_labels(odd: OddDataset, tmp_path: Path, name: str) -> None:
    export(odd.uri, f"yolo-{name}", str(tmp_path / "to"))
    labels = read(tmp_path / "to", name)
    assert len(labels) == 2 * NUM_FRAMES
    for stem, label in labels.items():
        video, position = stem.rpartition("_")[0], int(stem.rpartition("_")[2])
        size = np.array(SIZES[video])
        assert label["shape"] == tuple(size[::-1])
        objects = [n for n in (0, 1) if position not in ABSENT[n]]
        assert label["cls"].ravel().tolist() == objects
        for row, object_id in enumerate(objects):
            expected = mask_of(video, object_id, position)
            if name == "segment":
                found = filled(label["segments"][row] * size, expected.shape)
                assert iou(found, expected) > 0.85
            else:
                centre, sides = label["bboxes"][row, :2] * size, label["bboxes"][row, 2:] * size
                box = (*(centre - sides / 2), *(centre + sides / 2))
                assert box == pytest.approx(rle.box_of(expected), abs=1e-3)


@given(arrays.arrays(np.bool_, (12, 15), elements=st.booleans()))
def test_a_polygon_has_all_pixels(mask: NDArray[np.bool_]) -> None:
    """Filled, it has the whole mask, and what is too much touches it."""
    if mask.any():
        found = filled(polygon_of(mask), mask.shape)
        assert np.all(found[mask])


def filled(polygon: NDArray[np.floating], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """The rule of ultralytics' `polygon2mask`."""
    canvas = np.zeros(shape, np.uint8)
    cv2.fillPoly(canvas, [np.asarray(polygon).round().astype(np.int32)], 1)
    return canvas > 0


def iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float((a & b).sum() / (a | b).sum())
