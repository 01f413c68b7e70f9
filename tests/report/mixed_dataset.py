"""Dataset with videos of every status, whose counts and measurements are known."""

from dataclasses import replace
from pathlib import Path

from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.history import open_snapshot
from pvtt_flow.readers.snapshot import DatasetSnapshot
from pvtt_flow.types import Masklet
from tests.dataset.dataset_rows import masklet, measurements, video_record
from tests.dataset.datasets import new_dataset, publish

NUM_GOOD = 10
PROMPT_IOUS = tuple(0.1 * i for i in range(NUM_GOOD))


def mixed_dataset(folder: Path) -> Dataset:
    """Ten videos with a masklet each, one empty and two failed videos, one of them gone.

    Masklet `v3` has a `good_probability` of 0.3 and a `prompt_iou` of 0.3; `v0` has no mask.
    """
    dataset = new_dataset(folder)
    publish(dataset, *map(_masklet, range(NUM_GOOD)))
    empty = video_record("e0", status="empty", num_masklets=0)
    failures = [
        video_record(
            f"f{i}",
            status="failed",
            num_masklets=0,
            num_shots=0,
            num_frames=0,
            width_px=None,
            failure_stage="inspect",
            failure_kind=kind,
            failure_message=f"{kind} message",
            gone_at_ns=gone_at_ns,
        )
        for i, (kind, gone_at_ns) in enumerate([("unreadable", None), ("not_a_video", 5)])
    ]
    dataset.commit([], [empty, *failures], run_id="r2")
    return dataset


def opened(dataset: Dataset) -> DatasetSnapshot:
    return DatasetSnapshot(open_snapshot(dataset.uri), include_gone=True)


def _masklet(i: int) -> Masklet:
    good = None if i == 0 else i / 10
    verdict = "reject" if i < 2 else "review" if i < 9 else "accept"
    return masklet(
        f"v{i}",
        label="cup" if i == 9 else "mug",
        good_probability=good,
        verdict=verdict,
        reasons=("no_mask",) if i == 0 else () if i == 9 else ("doubtful", "box_jump"),
        qc=replace(measurements(presence=0.5), prompt_iou=PROMPT_IOUS[i], visibility_flips=i % 3),
    )
