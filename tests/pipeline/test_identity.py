"""Ids of listed videos: known ones keep theirs, and no two videos share one."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pvtt_flow.config.schema import RunParams
from pvtt_flow.core import ids
from pvtt_flow.dataset.arrow import to_table
from pvtt_flow.dataset.ledger import Ledger, LedgerEntry
from pvtt_flow.pipeline.identity import with_ids
from pvtt_flow.pipeline.plan import make_plan
from pvtt_flow.storage.video_names import name_in
from pvtt_flow.types import Source
from tests.pipeline.shot_results import LINEAGE

ENTRY = LedgerEntry(
    video_id="", etag="e", size_bytes=1, status="ok", attempts=0, work_key="k", run_id="r",
    config_hash="c", detector_hash="d", tracker_hash="t",
)  # fmt: skip
# As ids were made until 0.1.0: of the whole uri, with ASCII letters only.
OLD_ID = "video-777589307b"


def source(root: str, name: str) -> Source:
    uri = f"{root}/{name}"
    name = name_in(root, uri)
    return Source(
        video_id=ids.video_id(name), name=name, uri=uri, etag="e", size_bytes=1, input_uri=root
    )


def ledger(**uris: str) -> Ledger:
    """Return a ledger of videos, by id with `_` for `-`."""
    rows = [
        replace(ENTRY, video_id=i.replace("_", "-"), uri=uri, input_uri=uri.rpartition("/")[0])
        for i, uri in uris.items()
    ]
    return Ledger(to_table(LedgerEntry, rows))


def ids_of(sources: list[Source], known: Ledger) -> list[str]:
    return [s.video_id for s in with_ids(sources, known)]


def test_a_known_video_keeps_its_id_and_a_new_one_is_named_by_its_path() -> None:
    known = ledger(video_777589307b="/data/商品.mp4")
    videos = [source("/data", "商品.mp4"), source("/data", "sub/Кружка.mp4")]
    assert ids_of(videos, known) == [OLD_ID, ids.video_id("sub/Кружка.mp4")]


def test_an_equal_path_in_another_input_is_another_video() -> None:
    first = source("/a", "001.mp4")
    known = Ledger(to_table(LedgerEntry, [replace(ENTRY, video_id=first.video_id, uri=first.uri)]))
    assert ids_of([first], known) == [first.video_id]
    assert ids_of([source("/b", "001.mp4")], known) == [ids.video_id("/b/001.mp4")]


def test_a_place_that_is_used_again_after_a_relocation() -> None:
    old_ids = [ids.video_id("a.mp4"), ids.video_id("/old/a.mp4")]
    rows = [replace(ENTRY, video_id=i, uri=f"/new{n}/a.mp4") for n, i in enumerate(old_ids)]
    known = Ledger(to_table(LedgerEntry, rows))
    assert ids_of([source("/old", "a.mp4")], known) == [ids.video_id("/old/a.mp4#2")]
    assert ids_of([source("/new1", "a.mp4")], known) == [old_ids[1]]


def test_an_id_that_a_manifest_gives_stays() -> None:
    video = replace(source("/data", "a.mp4"), video_id="mug", name="")
    assert ids_of([video], ledger(cup="/data/a.mp4")) == ["mug"]


def test_an_id_of_a_name_goes_before_one_that_a_manifest_gave() -> None:
    for known in (
        ledger(a_mug="/data/a.mp4", a_0123456789="/data/a.mp4"),
        ledger(a_0123456789="/data/a.mp4", a_mug="/data/a.mp4"),
    ):
        assert ids_of([source("/data", "a.mp4")], known) == ["a-0123456789"]
    assert ids_of([source("/data", "a.mp4")], ledger(mug="/data/a.mp4")) == ["mug"]


def test_folders_of_frames_are_one_video_at_any_rate() -> None:
    known = ledger(mug="/data/mug/#fps=25")
    assert ids_of([source("/data", "mug/#fps=29.97")], known) == ["mug"]


ROOTS, NAMES = st.sampled_from(["/a", "/b", "s3://a"]), st.sampled_from(["x.mp4", "y.mp4", "x/x"])


@given(st.lists(st.lists(st.tuples(ROOTS, NAMES), unique=True, min_size=1), max_size=5))
def test_each_uri_has_one_id_of_its_own_in_any_order_of_runs(
    runs: list[list[tuple[str, str]]],
) -> None:
    rows: dict[str, LedgerEntry] = {}
    for listing in runs:
        known = Ledger(to_table(LedgerEntry, list(rows.values())))
        for video in with_ids([source(*place) for place in listing], known):
            held = rows.setdefault(
                video.uri, replace(ENTRY, video_id=video.video_id, uri=video.uri)
            )
            assert held.video_id == video.video_id
    assert len({row.video_id for row in rows.values()}) == len(rows)


def warning_of(root: str, known: Ledger) -> str | None:
    videos = [source(root, "a.mp4")]
    plan = make_plan(videos, known, LINEAGE, input_uri=root, params=RunParams())
    return plan.warning


def test_an_input_without_any_known_video_is_warned_about() -> None:
    known = ledger(x="/old disk/a.mp4", y="/old disk/b.mp4", z="/other/b.mp4")
    assert warning_of("/new", known) == (
        "none of the 3 videos of the dataset are in /new; if the videos have moved, stop and run "
        "pvtt-flow relocate DATASET '/old disk' /new"
    )
    assert (warning_of("/new/*.mp4", known) or "").endswith("DATASET OLD_PREFIX NEW_PREFIX")
    assert warning_of("/other", ledger(x="/other/b.mp4")) is None, "other videos, but no move"
    assert warning_of("/old disk", known) is None
    assert warning_of("/new", ledger()) is None
