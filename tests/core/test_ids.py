import re
import unicodedata
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvtt_flow.core import ids


def test_a_video_id_is_readable_and_stable() -> None:
    assert ids.video_id("s3://b/2024/Blue Mug (1).MP4") == "blue-mug-1-81660d15fa"


@given(st.text(min_size=1))
def test_a_video_id_is_a_safe_name(name: str) -> None:
    video_id = ids.video_id(name)
    assert re.fullmatch(r"[^\s_/'\"%=:.\\-]+(-[^\s_/'\"%=:.\\-]+)*-[0-9a-f]{10}", video_id)
    assert video_id.isprintable()
    assert len(video_id) <= 48 + 11
    assert len(f"{video_id}.json".encode()) < 255
    assert unicodedata.is_normalized("NFC", video_id)


@given(st.text(st.characters(codec="ascii"), min_size=1))
def test_an_id_of_an_ascii_name_is_as_it_always_was(name: str) -> None:
    stem = PurePosixPath(name.rstrip("/")).stem.lower()
    slug = re.sub(r"[^a-z0-9]+", "-", stem).strip("-")[:48].rstrip("-")
    assert ids.video_id(name) == f"{slug or 'video'}-{ids.digest(name, 10)}"


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("商品 动画.mp4", "商品-动画"),
        ("Кружка_1.MOV", "кружка-1"),
        ("हिन्दी.mp4", "हिन्दी"),
        ("CAFÉ.mp4", "café"),
        ("كوب ٣.mp4", "كوب-٣"),
        ("İstanbul.mp4", "i̇stanbul"),
        ("🎬.mp4", "video"),
    ],
)
def test_letters_and_digits_of_every_script_stay(name: str, slug: str) -> None:
    assert ids.video_id(name).rpartition("-")[0] == slug


def test_an_accent_in_two_encodings_is_one_name() -> None:
    assert ids.video_id("caf\u00e9.mp4") == ids.video_id("cafe\u0301.mp4")


def test_same_name_in_two_folders_is_two_videos() -> None:
    assert ids.video_id("s3://b/one/a.mp4") != ids.video_id("s3://b/two/a.mp4")


def test_ids_nest() -> None:
    shot = ids.shot_id("mug-1", 2, 90)
    assert shot == "mug-1/s0002@90"
    assert ids.masklet_id(shot, 1) == "mug-1/s0002@90/o001"


def test_hashes_do_not_depend_on_the_order_of_keys() -> None:
    assert ids.hash_of({"a": 1, "b": [2]}) == ids.hash_of({"b": [2], "a": 1})
    assert ids.hash_of({"a": 1}) != ids.hash_of({"a": 2})
