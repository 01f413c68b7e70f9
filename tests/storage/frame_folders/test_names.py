"""Which names are frames, and in which order."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvtt_flow.errors import DataError
from pvtt_flow.storage.frame_folders.names import FrameName, parse_frame_name, sorted_by_number
from pvtt_flow.storage.object_info import ObjectInfo


def found(*names: str) -> list[ObjectInfo]:
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
def test_the_order_is_that_of_the_numbers(numbers: set[int], prefix: str) -> None:
    ordered = sorted(numbers)
    names = [f"{prefix}{number}.png" for number in ordered]
    shuffled = random.Random(0).sample(names, len(names))
    assert sorted_by_number(found(*shuffled), "/data/mug") == ("png", found(*names))


def test_leading_zeros_and_gaps_change_nothing() -> None:
    _, frames = sorted_by_number(found("0100.jpg", "9.jpg", "00030.JPEG"), "/data/mug")
    assert frames == found("9.jpg", "00030.JPEG", "0100.jpg")


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (
            ["cover.jpg"],
            "pictures whose names end in a number (00000.jpg), but in mug there are no",
        ),
        (["0.jpg", "1.jpg", "0.png"], "one kind, JPEG or PNG, but in mug there are 2 jpeg and 1 p"),
        (["a_0.jpg", "b_1.jpg"], "names that begin alike before their number, but in mug there"),
        (["1.jpg", "2.jpg", "01.jpeg"], "each number once, but in mug there are 1.jpg and 01.jpeg"),
    ],
)
def test_what_is_no_video(names: list[str], told: str) -> None:
    with pytest.raises(DataError, match="in a folder of its own") as caught:
        sorted_by_number(found(*names), "mug")
    assert caught.value.kind == "not_a_video"
    assert told in str(caught.value)
