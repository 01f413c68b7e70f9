"""Recordings, read by Rerun."""

import io
import sys
from collections import defaultdict
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeAlias

import av
import numpy as np
import pytest

from pvtt_flow.core import rle
from pvtt_flow.core.timeline import NS_PER_S
from pvtt_flow.errors import PreflightError, StoreError
from pvtt_flow.export import export
from tests.disks import small_disk
from tests.export.odd_dataset import (
    ABSENT,
    LABELS,
    NUM_FRAMES,
    SIZES,
    OddDataset,
    mask_of,
    masks_of,
)
from tests.video.clip_maker import number_of

Rows: TypeAlias = dict[str, list[dict[str, Any]]]
"""Values of each entity, by component and timeline; static ones have no timeline."""


def read(path: Path) -> Rows:
    """Rows of each entity, in the order of the frames."""
    from rerun.chunk import RrdReader

    reader = RrdReader(path)
    assert [store.recording_id for store in reader.recordings()] == [path.stem]
    rows: Rows = defaultdict(list)
    for chunk in reader.stream():
        batch = chunk.to_record_batch()
        # Timelines as numbers, and not as datetime, which has no nanoseconds.
        table = {
            name: batch.column(name).cast("int64") if name == "pts" else batch.column(name)
            for name in batch.schema.names
            if name != "rerun.controls.RowId"
        }
        columns = {name: column.to_pylist() for name, column in table.items()}
        rows[chunk.entity_path] += (
            dict(zip(columns, values, strict=True))
            for values in zip(*columns.values(), strict=True)
        )
    return rows


def column(rows: list[dict[str, Any]], name: str) -> list[Any]:
    """Values of a component at each frame."""
    found = {row["frame"]: row[name] for row in rows if name in row and "frame" in row}
    assert list(found) == list(range(NUM_FRAMES))
    return list(found.values())


def static(rows: list[dict[str, Any]], name: str) -> Any:
    (values,) = (row[name] for row in rows if name in row and "frame" not in row)
    return values


@pytest.fixture(scope="module")
def recordings(odd: OddDataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rows]:
    to = tmp_path_factory.mktemp("rerun")
    export(odd.uri, "rerun", str(to))
    return {video: read(to / f"{video}.rrd") for video in ("odd", "turned")}


@pytest.mark.parametrize("video", ["odd", "turned"])
def test_masks_and_boxes(recordings: dict[str, Rows], video: str) -> None:
    width_px, height_px = SIZES[video]
    classes = static(recordings[video]["/clip"], "AnnotationContext:context")[0]
    infos = [row["class_description"]["info"] for row in classes]
    labels = {info["id"]: info["label"] for info in infos}
    # The background is transparent.
    assert infos[0]["id"] == infos[0]["color"] == 0
    for object_id in (0, 1):
        masks = recordings[video][f"/clip/o{object_id:03d}/mask"]
        boxes = recordings[video][f"/clip/o{object_id:03d}"]
        for position in range(NUM_FRAMES):
            layout = column(masks, "SegmentationImage:format")[position]
            pixels = column(masks, "SegmentationImage:buffer")[position]
            center = column(boxes, "Boxes2D:centers")[position]
            if position in ABSENT[object_id]:
                assert layout == pixels == center == []
                continue
            assert (layout[0]["width"], layout[0]["height"]) == (width_px, height_px)
            mask = np.array(pixels[0], np.uint8).reshape(height_px, width_px)
            expected = mask_of(video, object_id, position)
            assert labels[mask.max()] == LABELS[object_id]
            assert np.array_equal(mask > 0, expected)
            assert column(boxes, "Boxes2D:class_ids")[position] == [mask.max()]
            half = np.array(column(boxes, "Boxes2D:half_sizes")[position][0])
            corners = (*(center[0] - half), *(center[0] + half))
            assert corners == rle.box_of(expected)
        assert static(boxes, "masklet_id")[0].endswith(f"/o{object_id:03d}")


@pytest.mark.parametrize("video", ["odd", "turned"])
def test_pictures_times_and_hashes(
    odd: OddDataset, recordings: dict[str, Rows], video: str
) -> None:
    rows = recordings[video]["/clip"]
    with av.open(io.BytesIO(bytes(static(rows, "AssetVideo:blob")[0])), "r") as clip:
        numbers = {
            round((frame.pts or 0) * (frame.time_base or Fraction()) * NS_PER_S): number_of(
                np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
            )
            for frame in clip.decode(video=0)
        }
    shown = [numbers[time] for (time,) in column(rows, "VideoFrameReference:timestamp")]
    assert shown == list(range(NUM_FRAMES))
    facts = odd.frames(video)
    assert column(rows, "pts") == facts["pts_ns"]
    for name in ("frame_index", "rgb_blake2b"):
        assert [value for (value,) in column(rows, name)] == facts[name]
    for masks in (recordings[video][f"/clip/o{object_id:03d}/mask"] for object_id in (0, 1)):
        assert column(masks, "pts") == facts["pts_ns"]


def test_scores_and_properties(recordings: dict[str, Rows]) -> None:
    rows = recordings["turned"]
    scores = column(rows["/scores/object_score/o001"], "Scalars:scalars")
    present = masks_of("turned", 1).any(axis=(1, 2))
    assert [score > 0 for (score,) in scores] == present.tolist()
    assert column(rows["/scores/predicted_iou/o001"], "Scalars:scalars") == [[0.9]] * NUM_FRAMES
    assert static(rows["/scores/object_score/o001"], "SeriesLines:names") == [LABELS[1]]
    assert static(rows["/__properties/source"], "video_id") == ["turned"]
    assert "sku-turned" in static(rows["/__properties/source"], "attributes")[0]
    assert static(rows["/__properties"], "RecordingInfo:name") == ["turned"]


def test_splits_without_pictures(odd: OddDataset, tmp_path: Path) -> None:
    export(odd.uri, "rerun", str(tmp_path / "to"), split="sku", pictures=False)
    rows = read(tmp_path / "to/sku-odd/odd.rrd")
    assert static(rows["/__properties/source"], "split") == ["sku-odd"]
    assert column(rows["/clip"], "frame_index") == [[n] for n in range(NUM_FRAMES)]
    assert not any("AssetVideo:blob" in row or "rgb_blake2b" in row for row in rows["/clip"])


def test_a_library_that_is_not_installed(
    odd: OddDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rerun_bindings", None)
    with pytest.raises(PreflightError) as caught:
        export(odd.uri, "rerun", str(tmp_path / "to"))
    assert str(caught.value) == (
        "--format rerun needs the library rerun-sdk, which is not installed; run pip install "
        "'pvtt_flow[rerun]' on every machine"
    )
    assert not (tmp_path / "to").exists()


def test_a_full_disk(odd: OddDataset, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", size_mib=16) as disk:
        to = disk.path / "to"
        disk.fill(pages_left=8)
        with pytest.raises(StoreError, match=r"--to: .*No space left.*free some space"):
            export(odd.uri, "rerun", str(to), pictures=False)
        disk.make_room()
        assert export(odd.uri, "rerun", str(to), pictures=False).counts["files"] == 2
