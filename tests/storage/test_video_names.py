"""Names of videos, which are equal wherever their input is."""

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvtt_flow.storage.params import InputParams
from pvtt_flow.storage.sources import list_sources
from pvtt_flow.storage.video_names import name_from, name_in, video_uri

PARTS = st.lists(
    st.text("ab.é*[#? ", min_size=1, max_size=4).filter(lambda part: part not in (".", "..")),
    min_size=1,
    max_size=4,
)


@pytest.mark.parametrize(
    ("input_uri", "uri", "name"),
    [
        ("/data", "/data/a/b.mp4", "a/b.mp4"),
        ("/data/a/b.mp4", "/data/a/b.mp4", "b.mp4"),
        ("/data/*/b.mp4", "/data/a/b.mp4", "a/b.mp4"),
        ("/data/**/*.mp4", "/data/a/b.mp4", "a/b.mp4"),
        ("/", "/a.mp4", "a.mp4"),
        ("s3://b", "s3://b/x/a.mp4", "x/a.mp4"),
        ("s3://b/x", "s3://b/x/a.mp4", "a.mp4"),
        ("s3a://b/x", "s3://b/x/a.mp4", "a.mp4"),
        ("s3://b/x/a.mp4", "s3://b/x/a.mp4", "a.mp4"),
        ("/data", "/data/mug/#fps=25", "mug/"),
        ("/data/mug", "/data/mug/#fps=25", "mug/"),
        ("/data/mug/#fps=25", "/data/mug/#fps=25", "mug/"),
        ("/data", "file:///data/caf%E9.mp4", "caf%E9.mp4"),
        ("https://h/a.mp4?sig=1&x=2", "https://h/a.mp4?sig=1&x=2", "https://h/a.mp4?x=2"),
    ],
)
def test_a_name_starts_at_the_root_of_the_input(input_uri: str, uri: str, name: str) -> None:
    assert name_in(input_uri, uri) == name


def test_a_name_may_be_outside_the_folder_of_the_manifest() -> None:
    assert name_from("/lists", "/videos/a.mp4") == "../videos/a.mp4"
    assert name_from("bucket/lists", "s3://bucket/mug/#fps=24") == "../mug/"


def test_a_rate_and_a_signature_do_not_say_which_video_it_is() -> None:
    assert video_uri("s3://b/mug/#fps=24") == "s3://b/mug/"
    assert video_uri("https://h/a.mp4?X-Amz-Signature=1") == "https://h/a.mp4"


@given(PARTS, PARTS, PARTS)
def test_a_name_is_equal_at_two_places(old: list[str], new: list[str], parts: list[str]) -> None:
    name = "/".join(parts)
    roots = (f"/{'/'.join(old)}", f"s3://bucket/{'/'.join(new)}")
    assert {name_in(root, f"{root}/{name}") for root in roots} == {name}


def test_every_kind_of_input_gives_equal_ids_after_a_move(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "other" / "new"
    (old / "sub").mkdir(parents=True)
    for path in (old / "a.mp4", old / "sub" / "b.mp4"):
        path.write_bytes(b"x")
    lines = ("sub/b.mp4", "sub/../a.mp4", "s3://bucket/c.mp4")
    text = "".join(json.dumps({"uri": uri}) + "\n" for uri in lines[:2])
    (old / "m.jsonl").write_text(text)
    shutil.copytree(old, new)
    for what in ("", "/*.mp4", "/sub/b.mp4", "/m.jsonl"):
        first, second = (list_sources(InputParams(uri=f"{root}{what}")) for root in (old, new))
        assert [s.video_id for s in first] == [s.video_id for s in second]
        assert [s.uri for s in first] != [s.uri for s in second]
    folder, manifest = (list_sources(InputParams(uri=f"{old}{what}")) for what in ("", "/m.jsonl"))
    assert {s.video_id for s in folder} == {s.video_id for s in manifest}
