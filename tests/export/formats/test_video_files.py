"""Clips and mask videos: frame i of one is frame i of the other, for every decoder."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from pvtt_flow.export import export
from tests.export.formats.decoders import with_command_line, with_opencv, with_pyav
from tests.export.odd_dataset import NUM_FRAMES, SIZES, OddDataset, mask_of
from tests.video.clip_maker import number_of

Reader: TypeAlias = Callable[[Path], list[NDArray[np.uint8]]]


@pytest.mark.parametrize("read", [with_pyav, with_opencv, with_command_line])
@pytest.mark.parametrize(("name", "suffix"), [("ffv1", ".mkv"), ("x264", ".mp4")])
def test_masks_are_lossless(
    odd: OddDataset, tmp_path: Path, name: str, suffix: str, read: Reader
) -> None:
    export(odd.uri, name, str(tmp_path / "to"))
    for video in ("odd", "turned"):
        home = tmp_path / "to" / video
        for object_id in (0, 1):
            masks = np.array(read(home / f"object_{object_id:03d}{suffix}"))
            expected = [mask_of(video, object_id, position) for position in range(NUM_FRAMES)]
            assert set(np.unique(masks)) == {0, 255}
            assert np.array_equal(masks[..., 1] == 255, expected)
        pictures = read(home / "clip.mp4")
        assert pictures[0].shape == (*SIZES[video][::-1], 3)
        assert [number_of(picture) for picture in pictures] == list(range(NUM_FRAMES))


def test_sav_json(odd: OddDataset, tmp_path: Path) -> None:
    export(odd.uri, "sav-json", str(tmp_path / "to"))
    for video in ("odd", "turned"):
        data = json.loads((tmp_path / f"to/{video}_auto.json").read_text())
        assert (data["video_width"], data["video_height"]) == SIZES[video]
        assert data["video_frame_count"] == len(data["masklet"]) == NUM_FRAMES
        assert data["masklet_first_appeared_frame"] == [0, 1]
        assert data["masklet_frame_count"] == [8, 9]
        # sav_dataset/sav_visualization_example.ipynb decodes masklet[frame][object].
        for position, objects in enumerate(data["masklet"]):
            for object_id, rle in enumerate(objects):
                mask = coco_mask.decode(rle) > 0
                assert np.array_equal(mask, mask_of(video, object_id, position))
        assert len(with_pyav(tmp_path / f"to/{video}.mp4")) == NUM_FRAMES
