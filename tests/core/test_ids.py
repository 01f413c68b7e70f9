import re

from hypothesis import given
from hypothesis import strategies as st

from pvtt_flow.core import ids


def test_a_video_id_is_readable_and_stable() -> None:
    assert ids.video_id("s3://b/2024/Blue Mug (1).MP4") == "blue-mug-1-81660d15fa"


@given(st.text(min_size=1))
def test_a_video_id_is_a_safe_name(uri: str) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*-[0-9a-f]{10}", ids.video_id(uri))
    assert len(ids.video_id(uri)) <= 48 + 11


def test_same_name_in_two_folders_is_two_videos() -> None:
    assert ids.video_id("s3://b/one/a.mp4") != ids.video_id("s3://b/two/a.mp4")


def test_ids_nest() -> None:
    shot = ids.shot_id("mug-1", 2, 90)
    assert shot == "mug-1/s0002@90"
    assert ids.masklet_id(shot, 1) == "mug-1/s0002@90/o001"


def test_hashes_do_not_depend_on_the_order_of_keys() -> None:
    assert ids.hash_of({"a": 1, "b": [2]}) == ids.hash_of({"b": [2], "a": 1})
    assert ids.hash_of({"a": 1}) != ids.hash_of({"a": 2})
