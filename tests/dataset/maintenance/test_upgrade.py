"""Datasets of before: read as they are, written only when they have been brought up to date."""

from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest

from pvtt_flow import open_dataset
from pvtt_flow.dataset import delta, tables, transactions
from pvtt_flow.dataset.arrow import schema_of, to_table
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.history import restore
from pvtt_flow.dataset.ledger import read_ledger
from pvtt_flow.dataset.maintenance.schema_evolution import conform
from pvtt_flow.dataset.maintenance.upgrade import upgrade
from pvtt_flow.dataset.tables import MASKLETS, SCHEMAS, VIDEOS
from pvtt_flow.errors import PreflightError
from pvtt_flow.types import Masklet, VideoRecord
from tests.dataset.dataset_rows import masklet, video_record
from tests.dataset.datasets import new_dataset


def older(schema: pa.Schema) -> pa.Schema:
    """Before prompts could be corrections, and before videos could be gone."""
    fields = []
    for field in schema:
        if field.name == "prompts":
            prompt = field.type.value_type
            kept = pa.struct([f for f in prompt if f.name != "correction"])
            item = pa.field("element", kept, nullable=False)
            fields.append(pa.field("prompts", pa.list_(item), nullable=False))
        elif field.name not in ("input_uri", "gone_at_ns"):
            fields.append(field)
    return pa.schema(fields)


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """Create a dataset with a video, as an older version did."""
    schemas = {name: older(schema) for name, schema in SCHEMAS.items()}

    def to_older(cls: type, rows: list[object]) -> pa.Table:
        name = VIDEOS if cls is VideoRecord else MASKLETS
        table = to_table(cls, rows)
        wanted = pa.schema([f for f in schemas[name] if f.name in table.column_names])
        return pa.Table.from_pylist(table.to_pylist(), schema=wanted)

    with monkeypatch.context() as patch:
        for module in (delta, transactions, tables):
            patch.setattr(module, "SCHEMAS", schemas)
        patch.setattr(tables, "to_table", to_older)
        patch.setattr("pvtt_flow.dataset.upsert.to_table", to_older)
        made = new_dataset(tmp_path)
        made.commit(made.write_masklets([masklet("a")]), [video_record("a")], run_id="r1")
    return made


def test_an_older_dataset_is_read(dataset: Dataset) -> None:
    opened = open_dataset(dataset.uri)
    assert "gone_at_ns" not in opened.videos().schema.names
    assert opened.find_videos("a") == [video_record("a", input_uri="")]
    assert opened.masklets_of("a") == [masklet("a")]
    (entry,) = read_ledger(opened.videos()).entries(["a"])
    assert entry is not None
    assert (entry.input_uri, entry.gone_at_ns) == ("", None)


def test_an_older_dataset_is_not_written_before_an_upgrade(dataset: Dataset) -> None:
    with pytest.raises(PreflightError) as caught:
        dataset.ensure()
    assert str(caught.value) == (
        f"$.output.uri: the table 'masklets' of {dataset.uri} must have the columns of this "
        "version, got others (prompts) of an older version; run "
        f"`pvtt-flow upgrade {dataset.uri}`"
    )
    assert upgrade(dataset.uri) == 2
    dataset.ensure()
    dataset.commit(dataset.write_masklets([masklet("b")]), [video_record("b")], run_id="r2")
    assert open_dataset(dataset.uri).masklets_of("a", "b") == [masklet("a"), masklet("b")]
    assert open_dataset(dataset.uri).find_videos("") == [
        video_record("a", input_uri=""),
        video_record("b", run_id="r1"),
    ]
    assert open_dataset(dataset.uri).videos().count_rows() == 2
    assert upgrade(dataset.uri) == 3, "once is enough"


def test_versions_before_an_upgrade_can_be_read_but_not_restored(dataset: Dataset) -> None:
    upgrade(dataset.uri)
    assert open_dataset(dataset.uri, 1).masklets_of("a") == [masklet("a")]
    with pytest.raises(
        PreflightError, match="got 1, which is from before an upgrade; it can be read"
    ):
        restore(dataset.uri, 1)


@pytest.mark.parametrize("nested", [False, True])
def test_a_newer_dataset_is_neither_written_nor_upgraded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, nested: bool
) -> None:
    """Unknown columns would be lost."""
    name, later = (MASKLETS, newer(SCHEMAS[MASKLETS])) if nested else (VIDEOS, SCHEMAS[VIDEOS])
    if not nested:
        later = later.append(pa.field("later", pa.string()))
    with monkeypatch.context() as patch:
        patch.setattr(delta, "SCHEMAS", {**SCHEMAS, name: later})
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
    rows = to_table(Masklet, [masklet("a"), masklet("b", prompts=(), frames=())])
    assert conform(rows, Masklet) is rows
    for num_rows in (0, 1, 2):
        some = rows.slice(2 - num_rows)
        dropped = pa.Table.from_pylist(some.to_pylist(), schema=older(schema_of(Masklet)))
        assert conform(dropped, Masklet).equals(some)
    with pytest.raises(TypeError, match="the new field 'label' must have a default"):
        conform(rows.drop_columns(["label"]), Masklet)
