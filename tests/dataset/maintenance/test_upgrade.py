"""Datasets of before: read as they are, written only when they have been brought up to date."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from pvtt_flow import Judged, load_profile, open_dataset
from pvtt_flow.core import rle
from pvtt_flow.core.fitness import judge_fitness
from pvtt_flow.core.fitness_rows import FitnessRows
from pvtt_flow.core.mask_shape import shape_of
from pvtt_flow.core.qc import measure
from pvtt_flow.dataset import columns, delta, tables, transactions, upsert
from pvtt_flow.dataset.arrow import schema_of, to_table
from pvtt_flow.dataset.check import check
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.diff import diff
from pvtt_flow.dataset.history import history, restore
from pvtt_flow.dataset.ledger import read_ledger
from pvtt_flow.dataset.maintenance.compact import FULL, compact
from pvtt_flow.dataset.maintenance.rejudge import rejudge
from pvtt_flow.dataset.maintenance.repair import repair
from pvtt_flow.dataset.maintenance.row_updates import forget, retry
from pvtt_flow.dataset.maintenance.schema_evolution import conform
from pvtt_flow.dataset.maintenance.upgrade import upgrade
from pvtt_flow.dataset.maintenance.vacuum import vacuum
from pvtt_flow.dataset.snapshot import snapshot_at
from pvtt_flow.dataset.tables import MASKLETS, SCHEMAS, VIDEOS
from pvtt_flow.errors import PreflightError
from pvtt_flow.readers.sample import MaskletRow
from pvtt_flow.types import Frame, Masklet, VideoRecord
from tests.dataset.dataset_rows import masklet, video_record
from tests.dataset.datasets import new_dataset

NEW_IN_FRAMES: dict[str, Any] = {
    "largest_fragment_box_xyxy": None,
    "holes": 0,
    "compactness": None,
    "previous_iou": None,
    "confidence": None,
    "appearance": None,
    "detector_iou": None,
    "backward_iou": None,
    "salient_iou": None,
}
"""With their values in a dataset of before."""
NEW_MEASUREMENTS = {
    "holes_mean",
    "compactness_mean",
    "previous_iou_mean",
    "previous_iou_p05",
    "mask_entropy_mean",
    "stability_score_mean",
    "soft_dice_mean",
    "candidate_iou_mean",
    "color_distance_mean",
    "color_distance_p95",
    "contour_contrast_mean",
    "flow_iou_mean",
    "prompt_margin",
    "detector_iou_mean",
    "backward_iou_mean",
    "backward_iou_prompt",
    "salient_iou_mean",
}


def older(schema: pa.Schema) -> pa.Schema:
    """Before prompts could be corrections, frames had shapes, and videos could be gone."""
    fields = []
    for field in schema:
        if field.name == "qc":
            kept = pa.struct([f for f in field.type if f.name not in NEW_MEASUREMENTS])
            fields.append(pa.field(field.name, kept))
        elif field.name in ("prompts", "frames"):
            inner = field.type.value_type
            later = {"correction", *NEW_IN_FRAMES}
            kept = pa.struct([f for f in inner if f.name not in later])
            item = pa.field("element", kept, nullable=False)
            fields.append(pa.field(field.name, pa.list_(item), nullable=False))
        elif field.name not in ("input_uri", "gone_at_ns"):
            fields.append(field)
    return pa.schema(fields)


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """Create a dataset with a video, as an older version did."""
    with older_version(monkeypatch), monkeypatch.context() as patch:
        patch.setattr(delta, "PROPERTIES", None)
        made = new_dataset(tmp_path)
    add_older(made, monkeypatch, "a")
    return made


def as_before(row: Masklet) -> Masklet:
    """Return a masklet as it is read from a dataset of before."""
    return replace(row, frames=tuple(replace(frame, **NEW_IN_FRAMES) for frame in row.frames))


def measured(row: Masklet) -> Masklet:
    """Return a masklet as an upgrade leaves it."""
    qc = measure(row.frames, row.prompts, width_px=row.width_px, height_px=row.height_px)
    return replace(row, qc=qc)


def add_older(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, video_id: str, *rows: Masklet
) -> None:
    with older_version(monkeypatch):
        files = dataset.write_masklets(rows or [masklet(video_id)])
        dataset.commit(files, [video_record(video_id)], run_id="r1")


@contextmanager
def older_version(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    schemas = {name: older(schema) for name, schema in SCHEMAS.items()}

    def to_older(cls: type, rows: list[object]) -> pa.Table:
        name = VIDEOS if cls is VideoRecord else MASKLETS
        table = to_table(cls, rows)
        wanted = pa.schema([f for f in schemas[name] if f.name in table.column_names])
        return pa.Table.from_pylist(table.to_pylist(), schema=wanted)

    with monkeypatch.context() as patch:
        for module in (columns, delta, transactions):
            patch.setattr(module, "SCHEMAS", schemas)
        patch.setattr(tables, "to_table", to_older)
        patch.setattr(upsert, "to_table", to_older)
        yield


def test_an_older_dataset_is_read(dataset: Dataset) -> None:
    opened = open_dataset(dataset.uri)
    assert "gone_at_ns" not in opened.videos().schema.names
    assert opened.find_videos("a") == [video_record("a", input_uri="")]
    assert opened.video_as(VideoRecord, "a") == video_record("a", input_uri="")
    assert opened.masklets_of("a") == [as_before(masklet("a"))]
    assert opened.duckdb().sql("SELECT count(*) FROM masklets WHERE frames[1].fragments = 1")
    assert opened.clips(3).index.rows["video_id"].to_pylist() == ["a"]
    (entry,) = read_ledger(opened.videos()).entries(["a"])
    assert entry is not None
    assert (entry.input_uri, entry.gone_at_ns) == ("", None)


def test_an_older_dataset_is_not_written_before_an_upgrade(dataset: Dataset) -> None:
    with pytest.raises(PreflightError) as caught:
        dataset.ensure()
    assert str(caught.value) == (
        f"the table 'masklets' of {dataset.uri} must have the columns of this "
        "version, got others (frames, prompts, qc) of an older version; run "
        f"`pvtt-flow upgrade {dataset.uri}`"
    )
    assert upgrade(dataset.uri) == 2
    dataset.ensure()
    dataset.commit(dataset.write_masklets([masklet("b")]), [video_record("b")], run_id="r2")
    assert open_dataset(dataset.uri).masklets_of("a", "b") == [
        measured(masklet("a")),
        masklet("b"),
    ]
    assert open_dataset(dataset.uri).find_videos("") == [
        video_record("a", input_uri=""),
        video_record("b", run_id="r1"),
    ]
    assert open_dataset(dataset.uri).videos().count_rows() == 2
    assert upgrade(dataset.uri) == 3, "once is enough"


def with_a_speck(video_id: str) -> Masklet:
    """Return a masklet of a product that stays, with a speck on the first frame; it is absent from
    the second one."""
    product = np.zeros((48, 64), np.bool_)
    product[10:20, 30:50] = True
    speck = product.copy()
    speck[40, 3] = True
    first, absent, last = as_before(masklet(video_id)).frames
    first = replace(first, rle=rle.encode(speck), box_xyxy=(3, 10, 50, 41), fragments=2)
    last = replace(last, rle=rle.encode(product), box_xyxy=(30, 10, 50, 20))
    return masklet(video_id, frames=(first, absent, last))


def test_readers_take_the_box_of_the_whole_mask_before_an_upgrade(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_older(dataset, monkeypatch, "b", with_a_speck("b"))
    profile, of_b = load_profile("propainter"), ds.field("video_id") == "b"
    frames = [Frame(n, n * 40_000_000, np.zeros((48, 64, 3), np.uint8)) for n in range(3)]
    whole, none, largest = [3, 10, 50, 41], [0, 0, 0, 0], [30, 10, 50, 20]
    for first, spread in ((whole, (25.5 - 15) / 2 / 48), (largest, 0)):
        opened = open_dataset(dataset.uri)
        (row,) = opened.fitness(profile, where=of_b)
        assert row.fitness.measures["center_y_spread"] == pytest.approx(spread)
        (stored,) = opened.masklets_of("b")
        rows = FitnessRows.of(stored.frames, width_px=64, height_px=48)
        assert row.fitness == judge_fitness(profile, rows)
        index = opened.clips(3, where=of_b).index
        sample = MaskletRow(index.root, index.row(0)).sample(range(3), frames)
        assert sample["boxes_xyxy"].tolist() == [whole, none, largest]
        assert sample["largest_fragment_box_xyxy"].tolist() == [first, none, largest]
        upgrade(dataset.uri)


def test_an_upgrade_measures_the_stored_masks(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    specks = with_a_speck("b")
    first, absent, last = specks.frames
    add_older(dataset, monkeypatch, "b", specks)
    upgrade(dataset.uri)
    first, last = (
        replace(
            frame,
            largest_fragment_box_xyxy=(30, 10, 50, 20),
            compactness=shape_of(str(frame.rle), 48).compactness,
        )
        for frame in (first, last)
    )
    upgraded = [
        measured(masklet("a")),
        measured(replace(specks, frames=(first, absent, last))),
    ]
    assert upgraded[1].qc is not None
    assert upgraded[1].qc.compactness_mean == pytest.approx(0.774, abs=0.001)
    opened = open_dataset(dataset.uri)
    assert opened.masklets_of("a", "b") == upgraded
    boxes = "SELECT frames[1].largest_fragment_box_xyxy[3] FROM masklets ORDER BY video_id"
    assert opened.duckdb().sql(boxes).fetchall() == [(3,), (50,)]
    compact(dataset.uri, FULL, {})
    judge_all(dataset.uri)
    opened = open_dataset(dataset.uri)
    assert [m.frames for m in opened.masklets_of("a", "b")] == [m.frames for m in upgraded]
    assert not check(dataset.uri, deep=True).findings


def test_after_an_upgrade_files_are_skipped_by_all_columns(dataset: Dataset) -> None:
    """Readers of Delta take the bounds of 32 columns, unless a table says that it has more."""
    upgrade(dataset.uri)
    for where, num_files in (
        (ds.field("code_version") == "no version", 0),
        (ds.field("qc", "compactness_mean") > 1, 0),
        (ds.field("qc", "compactness_mean") > 0, 1),
    ):
        rows = open_dataset(dataset.uri).masklets()
        assert len(list(rows.get_fragments(filter=where))) == num_files, where
    assert not check(dataset.uri, deep=True).findings
    assert history(dataset.uri)[0].operation == "upgrade"


def test_versions_before_an_upgrade_can_be_read_but_not_restored(dataset: Dataset) -> None:
    upgrade(dataset.uri)
    assert open_dataset(dataset.uri, 1).masklets_of("a") == [as_before(masklet("a"))]
    assert diff(snapshot_at(dataset.uri, 1), snapshot_at(dataset.uri)).recomputed == ()
    with pytest.raises(
        PreflightError, match="got 1, which is from before an upgrade; it can be read"
    ):
        restore(dataset.uri, 1)


def judge_all(uri: str) -> None:
    rejudge(uri, lambda *_: Judged("reject", ("doubtful",), 0.1, 0.2), {})


MAINTENANCE: dict[str, Callable[[str], object]] = {
    "vacuum": lambda uri: vacuum(uri, keep=timedelta(days=7)),
    "compact": lambda uri: compact(uri, FULL, {}),
    "judge": judge_all,
    "clear": lambda uri: forget(uri, ["a"]),
    "restore": lambda uri: restore(uri, 2),
    "repair": lambda uri: repair(uri, {}),
}


@pytest.mark.parametrize("operation", MAINTENANCE)
@pytest.mark.parametrize("killed", [False, True])
def test_only_an_upgrade_changes_columns(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, operation: str, *, killed: bool
) -> None:
    """Delta takes new ones only with an overwrite, by which all other rows would be lost."""
    add_older(dataset, monkeypatch, "b")
    before = open_dataset(dataset.uri)
    if killed:
        with monkeypatch.context() as patch:
            patch.setattr(transactions, "_commit_videos", interrupt)
            with pytest.raises(KeyboardInterrupt):
                upgrade(dataset.uri)
    MAINTENANCE[operation](dataset.uri)
    after = open_dataset(dataset.uri)
    left = ["b"] if operation == "clear" else ["a", "b"]
    assert after.version == before.version + 1
    assert [record.video_id for record in after.find_videos("")] == left
    verdict = "reject" if operation == "judge" else "accept"
    assert [(m.video_id, m.verdict) for m in after.masklets_of("a", "b")] == [
        (video_id, verdict) for video_id in left
    ]
    assert after.masklets().schema == before.masklets().schema
    assert after.videos().schema == before.videos().schema
    assert upgrade(dataset.uri) == after.version + 1
    assert [m.video_id for m in open_dataset(dataset.uri).masklets_of("a", "b")] == left


def interrupt(*_: object) -> int:
    raise KeyboardInterrupt


def test_rows_of_this_version_are_not_committed_to_older_columns(dataset: Dataset) -> None:
    """Also if the columns have changed since the run began."""
    files = dataset.write_masklets([masklet("b")])
    retry_all, run = (
        partial(retry, dataset.uri, ["a"]),
        partial(dataset.commit, files, [video_record("b")], run_id="r2"),
    )
    for change in (retry_all, run):
        with pytest.raises(PreflightError, match="of an older version; run `pvtt-flow upgrade"):
            change()
    assert open_dataset(dataset.uri).version == 1


@pytest.mark.parametrize("nested", [False, True])
def test_a_newer_dataset_is_neither_written_nor_upgraded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, nested: bool
) -> None:
    """Unknown columns would be lost."""
    name, later = (MASKLETS, newer(SCHEMAS[MASKLETS])) if nested else (VIDEOS, SCHEMAS[VIDEOS])
    if not nested:
        later = later.append(pa.field("later", pa.string()))
    with monkeypatch.context() as patch:
        for module in (columns, delta):
            patch.setattr(module, "SCHEMAS", {**SCHEMAS, name: later})
        made = new_dataset(tmp_path)
    unknown = "prompts.later" if nested else "later"
    for change in (made.ensure, partial(upgrade, made.uri)):
        with pytest.raises(PreflightError) as caught:
            change()
        assert f"got others ({unknown}) of a newer version" in str(caught.value)
    assert open_dataset(made.uri).version == 0


def newer(schema: pa.Schema) -> pa.Schema:
    """With something more in each prompt."""
    index = schema.get_field_index("prompts")
    prompt = pa.struct([*schema.field(index).type.value_type, pa.field("later", pa.string())])
    item = pa.field("element", prompt, nullable=False)
    return schema.set(index, pa.field("prompts", pa.list_(item), nullable=False))


def test_rows_conform(tmp_path: Path) -> None:
    both = as_before(masklet("a")), masklet("b", prompts=(), frames=())
    rows = to_table(Masklet, both)
    assert conform(rows, Masklet) is rows
    for num_rows in (0, 1, 2):
        some = rows.slice(2 - num_rows)
        dropped = pa.Table.from_pylist(some.to_pylist(), schema=older(schema_of(Masklet)))
        assert conform(dropped, Masklet).equals(some)
    with pytest.raises(TypeError, match="the new field 'label' must have a default"):
        conform(rows.drop_columns(["label"]), Masklet)
