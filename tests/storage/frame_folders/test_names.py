"""File names of frames, and their order."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvtt_flow.errors import DataError
from pvtt_flow.storage.frame_folders.names import FrameName, parse_frame_name, sorted_by_number
from pvtt_flow.storage.object_info import ObjectInfo


def objects(*names: str) -> list[ObjectInfo]:
    return [ObjectInfo(f"/data/mug/{name}", "etag", 1) for name in names]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("00000.jpg", FrameName("", 0, "jpeg")),
        ("frame_000123.png", FrameName("frame_", 123, "png")),
        ("mug-2.0-7.JPEG", FrameName("mug-2.0-", 7, "jpeg")),
        ("v2_0010.JPG", FrameName("v2_", 10, "jpeg")),
        ("cover.jpg", None),
        ("0001_mask.png", None),
        ("0001.jpg.part", None),
        ("0001.webp", None),
        ("._00001.jpg", None),
        (".jpg", None),
        ("१.jpg", None),
    ],
)
def test_names(name: str, expected: FrameName | None) -> None:
    assert parse_frame_name(name) == expected


@given(st.sets(st.integers(0, 10**30), min_size=1), st.sampled_from(["", "frame_", "a1-"]))
def test_frames_are_sorted_by_number(numbers: set[int], prefix: str) -> None:
    ordered = sorted(numbers)
    names = [f"{prefix}{number}.png" for number in ordered]
    shuffled = random.Random(0).sample(names, len(names))
    assert sorted_by_number(objects(*shuffled), "/data/mug") == ("png", objects(*names))


def test_leading_zeros_and_gaps_change_nothing() -> None:
    _, frames = sorted_by_number(objects("0100.jpg", "9.jpg", "00030.JPEG"), "/data/mug")
    assert frames == objects("9.jpg", "00030.JPEG", "0100.jpg")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["cover.jpg"],
            "pictures whose names end in a number (00000.jpg), got none (mug)",
        ),
        (["0.jpg", "1.jpg", "0.png"], "one type, JPEG or PNG, got 2 jpeg and 1 png (mug)"),
        (["a_0.jpg", "b_1.jpg"], "names with the same text before their number, got 'a_' and 'b_'"),
        (["1.jpg", "2.jpg", "01.jpeg"], "each number once, got 1.jpg and 01.jpeg"),
    ],
)
def test_pictures_that_are_no_video_are_refused(names: list[str], message: str) -> None:
    with pytest.raises(DataError, match="in a folder of its own") as caught:
        sorted_by_number(objects(*names), "mug")
    assert caught.value.kind == "not_a_video"
    assert message in str(caught.value)
