"""Splits are the same for ever, and keep groups together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvtt_flow.errors import ConfigError
from pvtt_flow.export.split import Split, parse_split

HALVES = parse_split("train=0.5,val=0.25,test=0.25")


@given(st.text(min_size=1))
def test_every_group_has_one_split(group: str) -> None:
    name = HALVES.name_of(group)
    assert name in {"train", "val", "test"}
    assert HALVES.name_of(group) == name


def test_shares_are_the_fractions() -> None:
    names = [HALVES.name_of(f"video-{number}") for number in range(4000)]
    # The standard deviation is 32 and 27 videos.
    assert names.count("train") == pytest.approx(2000, abs=130)
    assert names.count("val") == pytest.approx(1000, abs=110)


def test_splits_of_known_groups_stay() -> None:
    """If this changes, the videos of every user move."""
    names = [HALVES.name_of(group) for group in ("mug", "kettle", "ring", "watch")]
    assert names == ["train", "val", "val", "train"]


def test_a_column_names_the_split() -> None:
    assert parse_split("fold") == Split(column="fold")
    assert parse_split("fold").name_of("val2") == "val2"
    assert parse_split("a=0.5,b=0.5", "sku").column == "sku"
    assert parse_split("a=0.5,b=0.5", "video").column is None


@pytest.mark.parametrize(
    ("text", "column", "problem"),
    [
        ("train=0.8,val=0.3", None, r"sum to 1, got 'train=0.8,val=0.3' \(1.1\)"),
        ("a=0.5,a=0.5", None, "different names"),
        ("train=x", None, r"in \(0, 1\], got 'train=x'"),
        ("=1", None, "got '=1'"),
        ("a/b=1", None, "got 'a/b=1'"),
        ("a=0.5,b=nan", None, "got 'b=nan'"),
        ("fold", "sku", "--split-by must be with fractions"),
    ],
)
def test_what_is_refused(text: str, column: str | None, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        parse_split(text, column)
