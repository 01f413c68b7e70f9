"""COCO, YouTube-VIS and SA-Co/VEval, read by pycocotools or by the rule of the reader."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from pvtt_flow.export import export
from tests.export.odd_dataset import ABSENT, LABELS, NUM_FRAMES, UNEVEN_MS, OddDataset, mask_of
from tests.video.clip_maker import number_of


def test_coco(odd: OddDataset, tmp_path: Path) -> None:
    export(odd.uri, "coco", str(tmp_path / "to"))
    coco = COCO(str(tmp_path / "to/annotations/instances_all.json"))
    assert [category["name"] for category in coco.cats.values()] == list(LABELS)
    assert len(coco.imgs) == 2 * NUM_FRAMES
    for image in coco.imgs.values():
        video, position = image["sequence"], int(Path(image["file_name"]).stem)
        picture = np.array(Image.open(tmp_path / "to/images/all" / image["file_name"]))
        assert picture.shape == (image["height"], image["width"], 3)
        assert number_of(picture) == position == image["frame_index"]
        found = coco.loadAnns(coco.getAnnIds(image["id"]))
        assert {item["category_id"] - 1 for item in found} == there(position)
        for item in found:
            expected = mask_of(video, item["category_id"] - 1, position)
            assert np.array_equal(coco.annToMask(item), expected)
            assert item["area"] == expected.sum()
            assert item["bbox"] == list(coco_mask.toBbox(coco.annToRLE(item)))
    turned = [image["pts_ns"] for image in coco.imgs.values() if image["sequence"] == "turned"]
    assert turned == [1_000_000 * time_ms for time_ms in UNEVEN_MS]


def there(position: int) -> set[int]:
    return {object_id for object_id in ABSENT if position not in ABSENT[object_id]}


@pytest.mark.parametrize(
    ("name", "file"), [("youtube-vis", "instances.json"), ("saco-veval", "saco_veval.json")]
)
def test_tracks_over_frames(odd: OddDataset, tmp_path: Path, name: str, file: str) -> None:
    export(odd.uri, name, str(tmp_path / "to"))
    data = json.loads((tmp_path / "to/all" / file).read_text())
    videos = {video["id"]: video for video in data["videos"]}
    assert {video["video_name"] for video in videos.values()} >= {"odd", "turned"}
    for video in videos.values():
        assert video["length"] == NUM_FRAMES
        for position, picture in enumerate(video["file_names"]):
            with Image.open(tmp_path / "to/all/JPEGImages" / picture) as image:
                assert image.size == (video["width"], video["height"])
                assert number_of(np.array(image)) == position
    assert len(data["annotations"]) == 4
    for item in data["annotations"]:
        video_name = videos[item["video_id"]]["video_name"]
        object_id = item["category_id"] - 1
        expected = [mask_of(video_name, object_id, position) for position in range(NUM_FRAMES)]
        assert np.array_equal(
            [decoded(rle, expected[0]) for rle in item["segmentations"]], expected
        )
        absent = [position for position, box in enumerate(item["bboxes"]) if box is None]
        assert absent == list(ABSENT[object_id])
        areas = [int(mask.sum()) or None for mask in expected]
        assert item["areas"] == areas
        assert item["avg_area"] == pytest.approx(np.mean([area for area in areas if area]))
        assert item["iscrowd"] == 0


def decoded(rle: dict[str, Any] | None, like: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The rule of youtubevos/cocoapi's `annToMask`; null is an empty frame."""
    return np.zeros_like(like) if rle is None else coco_mask.decode(rle).astype(bool)


def test_negatives_of_saco_veval(odd: OddDataset, tmp_path: Path) -> None:
    export(odd.uri, "saco-veval", str(tmp_path / "to"), pictures=False)
    data = json.loads((tmp_path / "to/all/saco_veval.json").read_text())
    names = {video["id"]: video["video_name"] for video in data["videos"]}
    pairs = {
        (names[pair["video_id"]], pair["noun_phrase"]): pair["num_masklets"]
        for pair in data["video_np_pairs"]
    }
    with_products = {(video, label): 1 for video in ("odd", "turned") for label in LABELS}
    assert pairs == {**with_products, ("nothing", "mug"): 0, ("nothing", "茶壶"): 0}
    nothing = next(video for video in data["videos"] if video["video_name"] == "nothing")
    assert (nothing["length"], nothing["width"], nothing["height"]) == (NUM_FRAMES, 64, 48)
    assert {item["noun_phrase"] for item in data["annotations"]} == set(LABELS)


def test_splits_have_files_of_their_own(odd: OddDataset, tmp_path: Path) -> None:
    export(odd.uri, "coco", str(tmp_path / "to"), split="sku", pictures=False)
    for video in ("odd", "turned"):
        coco = json.loads((tmp_path / f"to/annotations/instances_sku-{video}.json").read_text())
        assert {image["sequence"] for image in coco["images"]} == {video}
        assert [item["id"] for item in coco["annotations"]] == list(
            range(1, 2 * NUM_FRAMES - 3 + 1)
        )
