"""Differences between two versions."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pvtt_flow.core import rle
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.diff import Difference, diff
from pvtt_flow.dataset.snapshot import snapshot_at
from pvtt_flow.types import Masklet, MaskletFrame
from tests.dataset.dataset_rows import masklet, video_record
from tests.dataset.datasets import new_dataset


def with_mask(video: str, width_px: int, **changes: Any) -> Masklet:
    """A box so many pixels wide, and no mask on a second frame."""
    mask = np.zeros((48, 64), bool)
    mask[:10, :width_px] = True
    frames = tuple(
        MaskletFrame(
            frame_index=index, pts_ns=index, rle=counts, box_xyxy=None, area_px=0,
            object_score=None, predicted_iou=None, fragments=1,
        )
        for index, counts in enumerate((rle.encode(mask), None))
    )  # fmt: skip
    return masklet(video, frames=frames, **changes)


def commit(dataset: Dataset, *rows: Masklet, **changes: Any) -> int:
    records = [video_record(row.video_id, run_id="r", **changes) for row in rows]
    return dataset.commit(dataset.write_masklets(rows), records, run_id="r").version


def difference(dataset: Dataset, before: int, after: int) -> Difference:
    return diff(snapshot_at(dataset.uri, before), snapshot_at(dataset.uri, after))


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    made = new_dataset(tmp_path)
    commit(made, *(with_mask(name, 20) for name in "abcd"))
    return made


def test_every_kind_of_difference(dataset: Dataset) -> None:
    commit(dataset, with_mask("b", 10, verdict="reject"), work_key="k2")
    commit(dataset, with_mask("c", 10), etag="e2", work_key="k3")
    commit(dataset, with_mask("new", 10))
    failed = video_record(
        "d", run_id="r", status="failed", failure_kind="unreadable", num_masklets=0
    )
    after = dataset.commit((), [failed], run_id="r").version
    found = difference(dataset, 1, after)
    uri = "/videos/{}.mp4".format
    assert (found.added, found.removed) == ((uri("new"),), ())
    assert (found.changed, found.recomputed) == ((uri("c"),), (uri("b"),))
    assert found.statuses == {("ok", "failed"): 1}
    assert found.verdicts == {("accept", "reject"): 1}
    assert (found.num_masklets_added, found.num_masklets_removed) == (1, 1)
    # Half the box on one frame, nothing and nothing on the other; `c` has another picture.
    assert found.mean_mask_iou == pytest.approx((0.5 + 1) / 2)


def test_diffs_of_one_version_and_in_reverse(dataset: Dataset) -> None:
    same = difference(dataset, 1, 1)
    assert not any((same.added, same.removed, same.changed, same.recomputed, same.verdicts))
    assert same.mean_mask_iou is None
    assert difference(dataset, 1, 0).removed == difference(dataset, 0, 1).added
