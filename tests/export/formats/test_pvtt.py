"""PVTT bundles: every file belongs to its frame, and says what it is."""

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from pvtt_flow.core import rle
from pvtt_flow.core.growth import grow
from pvtt_flow.export import export
from tests.export.formats.decoders import with_pyav
from tests.export.odd_dataset import ABSENT, NUM_FRAMES, SIZES, OddDataset, mask_of
from tests.video.clip_maker import number_of, read

NAMES = {
    *("clip.mp4", "mask.mkv", "mask_grown.mkv", "mask_hull.mkv", "mask_box.mkv", "boxes.json"),
    *("bundle.json", "first_frame.png", "cutout.png"),
}


@pytest.fixture(scope="session")
def bundles(odd: OddDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("bundles") / "to"
    export(odd.uri, "pvtt", str(to))
    return to


@pytest.mark.parametrize("video", ["odd", "turned"])
@pytest.mark.parametrize("object_id", [0, 1])
def test_a_bundle(odd: OddDataset, bundles: Path, video: str, object_id: int) -> None:
    home = bundles / f"{video}_o00{object_id}"
    names = {path.name for path in home.iterdir()}
    assert names - {"first_region.png", "cutout_distant.png"} == NAMES
    expected = [mask_of(video, object_id, position) for position in range(NUM_FRAMES)]
    facts = json.loads((home / "bundle.json").read_text())
    for name, rule in facts["masks"].items():
        masks = np.array(with_pyav(home / f"{name}.mkv"))[..., 0]
        shape, radius_px = rule["shape"], rule["radius_px"]
        grown = [mask if shape is None else grow(mask, shape, radius_px) for mask in expected]
        assert np.array_equal(masks, np.array(grown) * 255), name
    assert facts["masks"]["mask_grown"] == {"shape": "ellipse", "radius_px": 1}
    clip = with_pyav(home / "clip.mp4")
    assert [number_of(picture) for picture in clip] == facts["frame_index"]
    assert clip[0].shape == (*SIZES[video][::-1], 3)
    assert facts["attributes"] == {"sku": f"sku-{video}", "license": "CC0"}
    assert facts["lineage"]["work_key"] == "k1"
    # A folder that is handed on alone can be verified.
    assert facts["sha256"] == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in home.iterdir()
        if path.name != "bundle.json"
    }
    source = [frame.rgb for frame in read(odd.videos / f"{video}.mp4")]
    assert np.array_equal(picture_of(home / "first_frame.png"), source[0])
    region = rle.box_of(expected[0])
    assert facts["first_region_xyxy"] == (None if region is None else list(region))
    assert (home / "first_region.png").exists() == (region is not None)
    for name in ("cutout", "cutout_distant"):
        if name not in facts:
            continue
        position = facts[name]["position"]
        x0, y0, x1, y1 = facts[name]["box_xyxy"]
        rgba = picture_of(home / f"{name}.png")
        assert np.array_equal(rgba[..., :3], source[position][y0:y1, x0:x1])
        assert np.array_equal(rgba[..., 3] > 0, expected[position][y0:y1, x0:x1])
        assert rgba[..., 3].any()
    assert abs(facts["cutout"]["position"] - facts["cutout_distant"]["position"]) >= 3


@pytest.mark.parametrize("object_id", [0, 1])
def test_boxes(bundles: Path, object_id: int) -> None:
    boxes = json.loads((bundles / f"odd_o00{object_id}/boxes.json").read_text())
    assert (boxes["width_px"], boxes["height_px"]) == SIZES["odd"]
    expected = [rle.box_of(mask_of("odd", object_id, p)) for p in range(NUM_FRAMES)]
    there = [position not in ABSENT[object_id] for position in range(NUM_FRAMES)]
    assert boxes["present"] == there
    tight = boxes["boxes_xyxy"]["tight"]
    assert tight == [None if box is None else list(map(float, box)) for box in expected]
    largest = boxes["boxes_xyxy"]["largest_fragment"]
    lefts = [20.0 + position for position in range(NUM_FRAMES)]
    pieces = [[x - 6, 24, x + 6, 30] if object_id else [x, 20, x + 24, 44] for x in lefts]
    assert [box for box in largest if box] == [pieces[p] for p in range(NUM_FRAMES) if there[p]]
    for track in (*boxes["boxes_xyxy"].values(), *boxes["boxes_xyxy_fractions"].values()):
        assert [box is not None for box in track] == there
    size = np.array([*SIZES["odd"]] * 2)
    fractions = [box for box in boxes["boxes_xyxy_fractions"]["tight"] if box]
    assert np.allclose(np.array(fractions) * size, [box for box in tight if box], atol=1e-3)


def test_without_pictures(odd: OddDataset, tmp_path: Path) -> None:
    export(odd.uri, "pvtt", str(tmp_path / "to"), pictures=False, where="object_id = 1")
    assert {path.name for path in (tmp_path / "to/odd_o001").iterdir()} == {
        *("mask.mkv", "mask_grown.mkv", "mask_hull.mkv", "mask_box.mkv"),
        *("boxes.json", "bundle.json"),
    }


def picture_of(path: Path) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    bgr = np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), np.uint8)
    return bgr[..., [2, 1, 0, *range(3, bgr.shape[2])]]
