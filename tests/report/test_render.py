"""The page: its text, its safety, and that it needs nothing else."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pvtt_flow.core.qc import QcThresholds
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.history import open_snapshot
from pvtt_flow.export.profiles import shipped
from pvtt_flow.report.content import Run
from pvtt_flow.report.make import Background, Request, make_report
from pvtt_flow.report.render import duration, number, render, size
from tests.dataset.dataset_rows import masklet, video_record
from tests.dataset.datasets import new_dataset, publish
from tests.report.mixed_dataset import mixed_dataset

MADE_AT = datetime(2026, 11, 29, 1, 2, 3, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script>\" onload='x' {{ 7 * 7 }}"
VOID = frozenset({"meta", "img", "input", "br", "hr", "link", "wbr"})


class Outline(HTMLParser):
    """Tags of a page, which must be balanced, with their text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in ("script", "style"):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))


def page_of(
    dataset: Dataset, *, runs: Iterable[Run] = (), against: int | None = None, **wishes: int
) -> str:
    snapshot = open_snapshot(dataset.uri)
    request = Request(
        with_pictures=False,
        against=None if against is None else open_snapshot(dataset.uri, against),
        **wishes,
    )
    background = Background(
        made_at=MADE_AT, runs=tuple(runs), thresholds=[QcThresholds()], profiles=shipped()
    )
    return render(make_report(snapshot, request, background))


def test_the_page_has_the_counts_and_the_sample(tmp_path: Path) -> None:
    run = Run(
        run_id="r1", status="running", num_videos=3, num_masklets=2, num_frames=1000, wall_s=90,
        frames_per_s=12.34, slot_utilization=0.5,
    )  # fmt: skip
    dataset = mixed_dataset(tmp_path)
    text = Outline(page_of(dataset, runs=[run], num_videos=6)).text
    assert f"{dataset.uri} Version" in text
    assert "Report of 2026-11-29 01:02 UTC." in text
    assert "ok 10 76.9 %" in text
    assert "review 7 70.0 %" in text
    assert "6 of 13 videos: the 3 in most doubt, 3 at random (seed 0)." in text
    assert f"pvtt-flow retry {dataset.uri} --kind unreadable" in text
    assert "r1 running or killed 3 2 1,000 1 min 30 s 12.3 50 %" in text
    assert "prompt_iou_min 0.5" in text


def test_a_threshold_is_drawn_at_its_place(tmp_path: Path) -> None:
    tags = Outline(page_of(mixed_dataset(tmp_path))).tags
    labels = [attrs.get("aria-label") or "" for _, attrs in tags]
    start = next(i for i, label in enumerate(labels) if label.startswith("Histogram of prompt_iou"))
    line = next(attrs for tag, attrs in tags[start:] if attrs.get("class") == "bound")
    # 0.5 on an axis from 0 to 0.9, which is 300 wide.
    assert float(line["x1"] or "") == pytest.approx(300 * 0.5 / 0.9, abs=0.01)


def test_hostile_text_is_text(tmp_path: Path) -> None:
    dataset = new_dataset(tmp_path)
    row = masklet("a", label=HOSTILE, reasons=("doubtful",), verdict="review")
    publish(dataset, row, uri=f"/videos/{HOSTILE}\x1b[31m\u202e.mp4")
    failed = video_record(
        "b",
        status="failed",
        num_masklets=0,
        failure_stage="inspect",
        failure_kind="internal",
        failure_message=f"{HOSTILE}\nline",
    )
    dataset.commit([], [failed], run_id="r2")
    page = page_of(dataset)
    outline = Outline(page)
    assert [tag for tag, _ in outline.tags].count("script") == 1
    assert not [attrs for _, attrs in outline.tags if any(name.startswith("on") for name in attrs)]
    assert "alert(1)</script>" not in page
    assert HOSTILE in outline.text
    assert "\\x1b[31m\\u202e.mp4" in outline.text
    assert "\x1b" not in page
    (table_row,) = [attrs for tag, attrs in outline.tags if tag == "tr" and "data-label" in attrs]
    assert table_row["data-label"] == HOSTILE


def test_the_page_needs_nothing_else(tmp_path: Path) -> None:
    page = page_of(mixed_dataset(tmp_path))
    outline = Outline(page)
    addresses = [
        value or ""
        for _, attrs in outline.tags
        for name, value in attrs.items()
        if name in ("src", "href", "action", "srcset", "data", "poster")
    ]
    assert addresses
    assert all(a.startswith(("#", "data:image/jpeg;base64,")) for a in addresses)
    assert "://" not in page
    assert not [tag for tag, _ in outline.tags if tag in ("link", "iframe", "object", "base")]
    # The policy forbids attributes with style.
    assert not [attrs for _, attrs in outline.tags if "style" in attrs]


def test_links_lead_to_places_of_the_page_and_controls_have_labels(tmp_path: Path) -> None:
    tags = Outline(page_of(mixed_dataset(tmp_path))).tags
    ids = [attrs["id"] for _, attrs in tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {str(a["href"])[1:] for tag, a in tags if tag == "a"} <= set(ids)
    controls = {a["id"] for tag, a in tags if tag in ("select", "input")}
    assert controls == {a["for"] for tag, a in tags if tag == "label"}
    named = {a["aria-labelledby"] for _, a in tags if "aria-labelledby" in a}
    assert named <= set(ids)


def test_a_dataset_without_rows_has_a_page(tmp_path: Path) -> None:
    text = Outline(page_of(new_dataset(tmp_path))).text
    assert "The dataset has no videos." in text
    assert "No masklet has a measurement." in text


def test_changes_are_shown(tmp_path: Path) -> None:
    dataset = new_dataset(tmp_path)
    before = publish(dataset, masklet("a"))
    publish(dataset, masklet("a", verdict="reject"), masklet("b"), run_id="r2")
    text = Outline(page_of(dataset, against=before)).text
    assert f"Changes from version {before} to " in text
    assert "accept 1 1 +0" in text
    assert "reject 0 1 +1" in text
    assert "1 videos new" in text
    assert "accept → reject" in text


def test_fitness_is_of_the_random_videos(tmp_path: Path) -> None:
    dataset = mixed_dataset(tmp_path)
    assert "10 masklets of all videos." in Outline(page_of(dataset)).text
    text = Outline(page_of(dataset, num_videos=6)).text
    assert re.search(r"\d masklets of the 3 videos chosen at random\.", text)


@pytest.mark.parametrize(
    ("shown", "wanted"),
    [
        (number(None), "-"),
        (number(0.123456), "0.1235"),
        (number(123456.0), "123,456"),
        (size(999), "999 bytes"),
        (size(1_234_000), "1.23 MB"),
        (duration(1.5), "1.5 s"),
        (duration(61), "1 min 1 s"),
        (duration(7260), "2 h 1 min"),
    ],
)
def test_numbers_are_short(shown: str, wanted: str) -> None:
    assert shown == wanted
