"""Prompts from the truth, as rows of a manifest."""

from pathlib import Path

import numpy as np
import pytest

from pvtt_flow.core import rle
from pvtt_flow.errors import ConfigError
from pvtt_flow.evaluate.prompts import manifest_rows
from pvtt_flow.evaluate.truth import TrueSequence, read_truth
from pvtt_flow.storage.manifest import ManifestPrompt
from tests.evaluate.annotated import HEIGHT_PX, TRUTH, WIDTH_PX, write_labels


@pytest.fixture
def truth(tmp_path: Path) -> list[TrueSequence]:
    write_labels(tmp_path / "Annotations" / "cup", TRUTH["cup"])
    return read_truth(tmp_path)


def test_masks_of_each_object_on_its_first_frame(truth: list[TrueSequence], tmp_path: Path) -> None:
    (tmp_path / "cup.mp4").touch()
    (row,) = manifest_rows(truth, "mask", tmp_path)
    assert (row["uri"], row["id"]) == (str(tmp_path / "cup.mp4"), "cup")
    assert row["add_products"] == "never"
    # The third object comes on frame 4.
    assert [(p["object_id"], p["frame"]) for p in row["prompts"]] == [(1, 0), (2, 0), (3, 4)]
    for prompt in row["prompts"]:
        ManifestPrompt.model_validate(prompt)
        mask = rle.decode(prompt["mask_rle"]["counts"], HEIGHT_PX, WIDTH_PX)
        np.testing.assert_array_equal(mask, TRUTH["cup"][prompt["frame"]] == prompt["object_id"])


def test_boxes_and_clicks(truth: list[TrueSequence], tmp_path: Path) -> None:
    (tmp_path / "cup").mkdir()
    (boxes,) = manifest_rows(truth, "box", tmp_path)
    assert boxes["uri"] == f"{tmp_path / 'cup'}/"
    (clicks,) = manifest_rows(truth, "point", tmp_path)
    # A disk of radius 11 around (20, 30).
    assert boxes["prompts"][0]["box_xyxy"] == [9, 19, 32, 42]
    assert clicks["prompts"][0]["points_xy"] == [[20.5, 30.5]]
    assert clicks["prompts"][0]["point_labels"] == [1]


def test_the_video_is_the_folder_of_the_frames(tmp_path: Path) -> None:
    write_labels(tmp_path / "cup" / "masks", TRUTH["cup"])
    (tmp_path / "cup" / "frames").mkdir()
    for number in range(len(TRUTH["cup"])):
        (tmp_path / "cup" / "frames" / f"{number:05d}.jpg").touch()
    (row,) = manifest_rows(read_truth(tmp_path), "box", None)
    assert row["uri"] == f"{tmp_path / 'cup' / 'frames'}/"


def test_a_video_that_cannot_be_found(truth: list[TrueSequence], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="say with --videos where the videos are"):
        list(manifest_rows(truth, "box", None))
    with pytest.raises(ConfigError, match=r"must have one file or folder cup in .*, found 0"):
        list(manifest_rows(truth, "box", tmp_path))
    with pytest.raises(ConfigError, match=r"--videos must be a folder of videos, got .*nowhere"):
        list(manifest_rows(truth, "box", tmp_path / "nowhere"))
    for suffix in ("mp4", "mov"):
        (tmp_path / f"cup.{suffix}").touch()
    with pytest.raises(ConfigError, match="found 2"):
        list(manifest_rows(truth, "box", tmp_path))
