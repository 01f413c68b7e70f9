from pathlib import Path

from pvtt_flow.report.cards import MAX_MASKLETS, make_cards, masklets_by_video
from pvtt_flow.report.columns import measured_columns
from pvtt_flow.review.overlay import color_of
from tests.dataset.dataset_rows import masklet
from tests.dataset.datasets import new_dataset, publish, videos_of
from tests.report.mixed_dataset import mixed_dataset, opened


def test_a_row_has_the_values_of_its_masklet(tmp_path: Path) -> None:
    dataset = opened(mixed_dataset(tmp_path))
    names = measured_columns(dataset)
    with dataset.duckdb() as db:
        found = masklets_by_video(db, ["v3", "e0"], names)
    assert found["e0"] == []
    (row,) = found["v3"]
    assert (row.video_id, row.label, row.verdict) == ("v3", "mug", "review")
    assert row.reasons == ("doubtful", "box_jump")
    assert row.values["good_probability"] == 0.3
    assert row.values["presence"] == 0.5
    assert row.values["flow_iou_mean"] is None
    assert tuple(int(row.color[i : i + 2], 16) for i in (1, 3, 5)) == color_of(0)


def test_masklets_in_most_doubt_come_first_and_others_are_counted(tmp_path: Path) -> None:
    made = new_dataset(tmp_path)
    many = [masklet("a", i, good_probability=1 - i / 100) for i in range(MAX_MASKLETS + 3)]
    publish(made, *many, num_masklets=len(many))
    dataset = opened(made)
    with dataset.duckdb() as db:
        found = masklets_by_video(db, ["a"], measured_columns(dataset))
    assert [row.object_id for row in found["a"]] == list(range(MAX_MASKLETS + 2, 2, -1))
    (card,) = make_cards({"a": "doubt"}, videos_of(made), found, "/my data")
    assert card.num_masklets_left_out == 3
    assert card.preview == "pvtt-flow preview '/my data' a"


def test_no_videos_have_no_rows(tmp_path: Path) -> None:
    with opened(new_dataset(tmp_path)).duckdb() as db:
        assert masklets_by_video(db, [], ()) == {}
