"""Clips and mask videos: frame i of one is frame i of the other, for every decoder."""

import json
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import av
import cv2
import imageio_ffmpeg
import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from pvtt_flow.export import export
from tests.export.odd_dataset import NUM_FRAMES, SIZES, OddDataset, mask_of
from tests.video.clip_maker import number_of

Reader: TypeAlias = Callable[[Path], list[NDArray[np.uint8]]]


def with_pyav(path: Path) -> list[NDArray[np.uint8]]:
    with av.open(path) as container:
        frames = container.decode(video=0)
        return [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in frames]


def with_opencv(path: Path) -> list[NDArray[np.uint8]]:
    """The rule of DiffuEraser's `read_mask`."""
    capture = cv2.VideoCapture(str(path))
    frames: list[NDArray[np.uint8]] = []
    while True:
        is_read, frame = capture.read()
        if not is_read:
            return frames
        frames.append(np.asarray(frame[:, :, ::-1], np.uint8))


def with_command_line(path: Path) -> list[NDArray[np.uint8]]:
    width_px, height_px = with_pyav(path)[0].shape[1::-1]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path), "-f", "rawvideo"]
    raw = subprocess.run([*command, "-pix_fmt", "rgb24", "-"], capture_output=True, check=True)
    return list(np.frombuffer(raw.stdout, np.uint8).reshape(-1, height_px, width_px, 3))


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


def test_shards_have_whole_samples(odd: OddDataset, tmp_path: Path) -> None:
    export(odd.uri, "webdataset", str(tmp_path / "to"))
    (shard,) = (tmp_path / "to").glob("*.tar")
    with tarfile.open(shard) as tar:
        # WebDataset groups neighbors whose names are equal up to the first dot.
        assert tar.getnames() == ["odd.json", "odd.mp4", "turned.json", "turned.mp4"]
        file = tar.extractfile("turned.json")
        assert file is not None
        sample = json.load(file)
    for object_id, track in enumerate(sample["tracks"]):
        for position, rle in enumerate(track["segmentations"]):
            expected = mask_of("turned", object_id, position)
            mask = np.zeros_like(expected) if rle is None else coco_mask.decode(rle) > 0
            assert np.array_equal(mask, expected)
    assert sample["attributes"]["sku"] == "sku-turned"


def test_video_folder(odd: OddDataset, tmp_path: Path) -> None:
    export(odd.uri, "videofolder", str(tmp_path / "to"))
    text = (tmp_path / "to/train/metadata.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert len(lines) == 4
    for line in lines:
        video, object_id = line["masklet_id"].partition("/")[0], int(line["masklet_id"][-1])
        masks = np.array(with_pyav(tmp_path / "to/train" / line["mask_file_name"]))
        expected = [mask_of(video, object_id, position) for position in range(NUM_FRAMES)]
        assert np.array_equal(masks[..., 0] > 0, expected)
        pictures = with_pyav(tmp_path / "to/train" / line["file_name"])
        assert [number_of(picture) for picture in pictures] == line["frame_index"]
