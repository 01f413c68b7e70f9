"""Layouts of annotated sequences, and files that are none."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pvtt_flow.errors import ConfigError
from pvtt_flow.evaluate.truth import TrueSequence, read_truth
from tests.evaluate.annotated import TRUTH, write_labels, write_objects

BALL = TRUTH["ball"][:3]


def assert_is_ball(sequence: TrueSequence, frame_indices: tuple[int, ...] = (0, 1, 2)) -> None:
    assert sequence.name == "ball"
    assert sequence.frame_indices == frame_indices
    for index, labels in zip(frame_indices, BALL, strict=True):
        frame = sequence.read(index)
        assert frame.size_px == labels.shape
        for number in (1, 2, 3, 4):
            np.testing.assert_array_equal(frame.of(number), labels == number)


@pytest.mark.parametrize(
    ("inside", "given"),
    [
        ("Annotations/480p/ball", "."),
        ("Annotations/480p/ball", "Annotations"),
        ("Annotations/480p/ball", "Annotations/480p"),
        ("Annotations/ball", "."),
        ("Annotations/ball", "Annotations"),
        ("valid/ball", "valid"),
        ("ball/masks", "."),
    ],
)
def test_pictures_of_all_objects(tmp_path: Path, inside: str, given: str) -> None:
    write_labels(tmp_path / inside, BALL)
    (sequence,) = read_truth(tmp_path / given)
    assert not sequence.is_by_object
    assert_is_ball(sequence)


@pytest.mark.parametrize("inside", ["Annotations_6fps/ball", "ball"])
def test_pictures_of_each_object(tmp_path: Path, inside: str) -> None:
    write_objects(tmp_path / inside, BALL)
    (sequence,) = read_truth(tmp_path)
    assert sequence.is_by_object
    assert_is_ball(sequence)


def test_names_are_numbers_of_frames(tmp_path: Path) -> None:
    write_labels(tmp_path / "Annotations" / "ball", BALL, numbers=(0, 5, 10))
    assert_is_ball(read_truth(tmp_path)[0], (0, 5, 10))


@pytest.mark.parametrize(
    ("masks", "frames"),
    [
        ("Annotations/ball", "JPEGImages/ball"),
        ("Annotations/480p/ball", "JPEGImages/480p/ball"),
        ("ball/masks", "ball/frames"),
    ],
)
def test_frames_pictures_tell_the_place_of_a_name(tmp_path: Path, masks: str, frames: str) -> None:
    write_labels(tmp_path / masks, BALL, numbers=(10, 20, 40))
    (tmp_path / frames).mkdir(parents=True)
    (tmp_path / frames / "cover.jpg").touch()
    for number in range(5, 50, 5):
        (tmp_path / frames / f"{number:05d}.jpg").touch()
    assert_is_ball(read_truth(tmp_path)[0], (1, 3, 7))
    (tmp_path / frames / "00020.jpg").unlink()
    with pytest.raises(
        ConfigError,
        match=r"00020\.png must be named as the picture of its frame, but none is named 00020",
    ):
        read_truth(tmp_path)


def gray(folder: Path, *pictures: NDArray[np.generic]) -> TrueSequence:
    folder.mkdir(parents=True)
    for t, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / f"{t:05d}.png")
    return read_truth(folder.parent)[0]


def test_white_is_the_object_or_left_out(tmp_path: Path) -> None:
    empty, white = np.zeros((6, 8), np.uint8), np.zeros((6, 8), np.uint8)
    white[1:3] = 255
    both = white.copy()
    both[4] = 2
    binary = gray(tmp_path / "binary" / "ball", empty, white, white)
    assert [list(binary.read(t).masks) for t in range(3)] == [[], [255], [255]]
    # The object has gone on the last frame; what is left out is no object then.
    several = gray(tmp_path / "several" / "ball", both, white)
    assert [list(several.read(t).masks) for t in range(2)] == [[2], []]
    one_bit = gray(tmp_path / "one bit" / "ball", white > 0)
    assert one_bit.read(0).of(1).sum() == 16


def test_sequences_are_chosen_by_name(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write_labels(tmp_path / "Annotations" / name, BALL)
    (tmp_path / "Annotations" / "notes").mkdir()
    assert [each.name for each in read_truth(tmp_path)] == ["a", "b", "c"]
    assert [each.name for each in read_truth(tmp_path, ["c", "a"])] == ["c", "a"]
    with pytest.raises(ConfigError, match=r"--sequences must be in .*, but notes, x are not there"):
        read_truth(tmp_path, ["a", "notes", "x"])


def test_what_is_no_truth_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--truth must be a folder of annotated sequences"):
        read_truth(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="but no mask was found"):
        read_truth(tmp_path)
    home = tmp_path / "ball"
    write_labels(home, BALL)
    Image.new("RGB", (8, 6), (128, 0, 0)).save(home / "00001.png")
    (home / "00002.png").write_bytes(b"\x89PNG")
    (sequence,) = read_truth(tmp_path)
    with pytest.raises(ConfigError, match=r"00001\.png must have one number .*channels RGB"):
        sequence.read(1)
    with pytest.raises(ConfigError, match=r"00002\.png must be a picture of masks"):
        sequence.read(2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
        with pytest.raises(ConfigError, match=r"00000\.png must be a picture of masks.* exceeds"):
            sequence.read(0)
    (home / "first.png").touch()
    with pytest.raises(ConfigError, match=r"first\.png must be named by the number of its frame"):
        read_truth(tmp_path)
