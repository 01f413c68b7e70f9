"""Videos of annotated sequences, found by their names."""

import pytest

from pvtt_flow.errors import ConfigError
from pvtt_flow.evaluate.pair import pair
from tests.dataset.dataset_rows import video_record


@pytest.mark.parametrize(
    ("video_id", "uri"),
    [
        ("ball", "s3://bucket/4711.mp4"),
        ("ball-0f3a", "/videos/ball.mp4"),
        ("x", "file:///videos/ball"),
        ("x", "s3://bucket/DAVIS/JPEGImages/480p/ball"),
        ("x", "/annotated/ball/frames/#fps=24"),
        ("x", "s3://bucket/frames/ball/#fps=29.97"),
    ],
)
def test_names_of_a_video(video_id: str, uri: str) -> None:
    video = video_record(video_id, uri=uri)
    assert pair([video_record("other"), video], ["ball"]) == {"ball": video}


def test_names_with_spaces_and_dots() -> None:
    video = video_record("x", uri="file:///videos/red%20mug.v2.mp4")
    assert pair([video], ["red mug.v2"]) == {"red mug.v2": video}


def test_a_sequence_without_a_video_is_refused() -> None:
    names = ["ball", "cup", "dog", "egg", "fan"]
    with pytest.raises(ConfigError, match=r"4 of 5 have none \(cup, dog, egg, …\); name with"):
        pair([video_record("ball")], names)


def test_a_sequence_with_two_videos_is_refused() -> None:
    videos = [video_record("a", uri="/a/ball.mp4"), video_record("b", uri="/b/ball.mov")]
    with pytest.raises(ConfigError, match=r"got /a/ball\.mp4 and /b/ball\.mov"):
        pair(videos, ["ball"])
