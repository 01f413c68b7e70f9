"""Values of manifests as pandas and others write them: one meaning in three formats."""

import json
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvtt_flow.errors import ConfigError
from pvtt_flow.storage.manifest import Entry, ManifestPrompt, ManifestRow, read_manifest
from pvtt_flow.storage.manifest_values import attributes_of, integral, is_null

NAN = float("nan")
PROMPTS = [{"object_id": 0.0, "frame": 3.0, "box_xyxy": [1, 2, 3, 4], "label": NAN}]
ROWS: list[dict[str, object]] = [
    {"uri": "a.mp4", "sku": "007", "price": 3.5, "stock": 2.0, "prompts": PROMPTS, "shots": None},
    {"uri": "b.mp4", "sku": None, "price": NAN, "stock": NAN, "prompts": None, "shots": [[0.0, 9]]},
]


def entries_of(path: Path, rows: list[dict[str, object]]) -> list[Entry]:
    """Write rows as pandas does, and read them."""
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        names = list(rows[0])
        lines = [",".join(["", *names])]
        for number, row in enumerate(rows):
            values = ["" if is_null(row[name]) else row[name] for name in names]
            texts = [json.dumps(v) if isinstance(v, list) else str(v) for v in values]
            quoted = ['"' + text.replace('"', '""') + '"' for text in texts]
            lines.append(",".join([str(number), *quoted]))
        path.write_text("\n".join(lines))
    return read_manifest(str(path))


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_what_pandas_writes(tmp_path: Path, ending: str) -> None:
    first, second = entries_of(tmp_path / f"m.{ending}", ROWS)
    assert first.attributes == {"sku": "007", "price": "3.5", "stock": "2.0"}
    (prompt,) = first.prompts
    assert (prompt.object_id, prompt.frame_index, prompt.label) == (0, 3, "product")
    assert (second.attributes, second.prompts, second.shots) == (None, (), ((0, 9),))


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_empty_text_is_a_missing_value(tmp_path: Path, ending: str) -> None:
    names = ("id", "prompts", "shots", "add_products", "sku")
    row: dict[str, object] = {"uri": "a.mp4", **dict.fromkeys(names, "")}
    (entry,) = entries_of(tmp_path / f"m.{ending}", [row])
    assert entry.video_id.startswith("a-")
    assert (entry.prompts, entry.shots, entry.add_products) == ((), (), None)
    assert entry.attributes is None


def test_decimals_of_sql_engines_are_numbers(tmp_path: Path) -> None:
    prompts = [{"object_id": Decimal(4), "frame": Decimal("2.00"), "box_xyxy": [Decimal("0.5")] * 2
                + [Decimal("8.5")] * 2}]  # fmt: skip
    row: dict[str, object] = {"uri": "a.mp4", "id": Decimal(12), "prompts": prompts}
    (entry,) = entries_of(tmp_path / "m.parquet", [row])
    (prompt,) = entry.prompts
    assert (entry.video_id, prompt.object_id, prompt.frame_index) == ("12", 4, 2)
    assert prompt.box_xyxy == (0.5, 0.5, 8.5, 8.5)


@pytest.mark.parametrize(
    ("values", "kind"),
    [([0, 2**62], pa.timestamp("us")), ([0, 2**50], pa.timestamp("s")), ([0, 2**30], pa.date32())],
)
def test_times_beyond_those_of_python_are_refused(
    tmp_path: Path, values: list[int], kind: pa.DataType
) -> None:
    table = pa.table({"uri": ["a.mp4", "b.mp4"], "taken": pa.array(values, kind)})
    pq.write_table(table, tmp_path / "m.parquet")
    with pytest.raises(ConfigError, match="must have dates and times that Python can hold"):
        read_manifest(str(tmp_path / "m.parquet"))


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("uri,sku,uri,sku,,\na.mp4,1,b.mp4,2,0,0\n")
    arrays = [pa.array([text]) for text in ("a.mp4", "1", "b.mp4", "2")]
    table = pa.Table.from_arrays(arrays, names=["uri", "sku"] * 2)
    pq.write_table(table, tmp_path / "m.parquet")
    for name in ("m.csv", "m.parquet"):
        with pytest.raises(ConfigError, match="must have one column of each name, got more of uri"):
            read_manifest(str(tmp_path / name))


def test_an_id_may_be_a_number(tmp_path: Path) -> None:
    for ending in ("csv", "jsonl", "parquet"):
        rows: list[dict[str, object]] = [{"uri": "a.mp4", "id": 7}, {"uri": "b.mp4", "id": 8}]
        assert [e.video_id for e in entries_of(tmp_path / f"m.{ending}", rows)] == ["7", "8"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Кружка", "Кружка"), (3, "3"), (True, "true"), ({"a": [1, "é"]}, '{"a": [1, "é"]}'),
        (0.1, "0.1"), (1e300, "1e+300"),
    ],
)  # fmt: skip
def test_attributes_are_text(value: object, text: str) -> None:
    assert attributes_of({"uri": "a", "my column": value}, ["uri"], []) == {"my column": text}


def refusal(**row: object) -> str | None:
    try:
        attributes_of(row, ManifestRow.model_fields, ManifestPrompt.model_fields)
    except ValueError as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("promts", "prompts"), ("Prompts", "prompts"), ("shot", "shots"), ("ID", "id"),
        (" uri", "uri"), ("add_product", "add_products"), ("objectid", "object_id of a prompt"),
        ("frame", "frame of a prompt"), ("label", "label of a prompt"),
        ("box_xyxz", "box_xyxy of a prompt"),
    ],
)  # fmt: skip
def test_a_name_that_is_nearly_known_is_refused(name: str, meant: str) -> None:
    assert f"did you mean {meant}?" in (refusal(**{name: 1}) or "")


@pytest.mark.parametrize(
    "name", ["sku", "category", "split", "license", "url", "product_id", "title", "Größe", "fps"]
)
def test_own_names_are_taken(name: str) -> None:
    assert refusal(**{name: 1}) is None


def test_indices_of_pandas_are_no_attributes() -> None:
    row = {"uri": "a", "": "0", "__index_level_0__": 0}
    assert attributes_of(row, ["uri"], []) is None


def test_too_many_columns_and_bytes_are_refused(tmp_path: Path) -> None:
    assert "at most 100 columns of its own" in (
        refusal(**{f"c{n:03}x": 1 for n in range(101)}) or ""
    )
    with pytest.raises(ConfigError, match="row 1: raw must be text or a number, got bytes"):
        entries_of(tmp_path / "m.parquet", [{"uri": "a.mp4", "raw": b"1"}])


@given(st.integers(-(2**53), 2**53))
def test_floats_without_fraction_are_integers(number: int) -> None:
    assert integral(float(number)) == number
    assert isinstance(integral(float(number)), int)
    assert integral(number + 0.5) == number + 0.5
