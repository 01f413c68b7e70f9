from pathlib import Path

from pvtt_flow.dataset.history import open_snapshot
from pvtt_flow.dataset.maintenance import row_updates
from pvtt_flow.report.comparison import compare
from tests.dataset.dataset_rows import masklet
from tests.dataset.datasets import new_dataset, publish


def test_a_comparison_counts_verdicts_and_videos(tmp_path: Path) -> None:
    dataset = new_dataset(tmp_path)
    before = publish(dataset, masklet("a"), masklet("b"), masklet("c"))
    publish(dataset, masklet("a", verdict="reject", work_key="k2"), run_id="r2", work_key="k2")
    publish(dataset, masklet("d", verdict="review"), run_id="r3")
    row_updates.forget(dataset.uri, ["b"])
    found = compare(open_snapshot(dataset.uri, before), open_snapshot(dataset.uri))
    assert found.version == before
    assert found.verdicts == {"accept": (3, 1), "reject": (0, 1), "review": (0, 1)}
    assert found.videos["new"] == ("/videos/d.mp4",)
    assert found.videos["removed"] == ("/videos/b.mp4",)
    assert found.videos["recomputed"] == ("/videos/a.mp4",)
    assert found.masklets == {"added": 1, "removed": 1, "accept → reject": 1}
    (changed,) = found.changed
    assert (changed.masklet_id, changed.before, changed.after) == (
        masklet("a").masklet_id,
        "accept",
        "reject",
    )
    assert found.num_changed == 1


def test_a_version_is_like_itself(tmp_path: Path) -> None:
    dataset = new_dataset(tmp_path)
    publish(dataset, masklet("a"))
    snapshot = open_snapshot(dataset.uri)
    found = compare(snapshot, snapshot)
    assert found.changed == ()
    assert not any(found.videos.values())
