"""Manifests: three formats with one meaning, and errors with their places."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pvtt_flow.core import rle
from pvtt_flow.errors import ConfigError, DataError, PreflightError
from pvtt_flow.storage import manifest_rows
from pvtt_flow.storage.manifest import read_manifest
from pvtt_flow.storage.params import InputParams
from pvtt_flow.storage.sources import list_sources
from pvtt_flow.storage.streams import open_binary
from pvtt_flow.types import Prompt

PROMPTS = [
    {"object_id": 3, "frame": 5, "box_xyxy": [1, 2, 3.5, 4], "label": "mug"},
    {"object_id": 4, "points_xy": [[1, 2], [3, 4]], "point_labels": [1, 0]},
    {"object_id": 4, "frame": 9, "points_xy": [[5, 6]], "point_labels": [0], "correction": True},
]
EXPECTED = (
    Prompt(
        object_id=3, frame_index=5, label="mug", box_xyxy=(1.0, 2.0, 3.5, 4.0), origin="manifest"
    ),
    Prompt(
        object_id=4,
        frame_index=0,
        points_xy=((1.0, 2.0), (3.0, 4.0)),
        point_labels=(1, 0),
        origin="manifest",
    ),
    Prompt(
        object_id=4,
        frame_index=9,
        points_xy=((5.0, 6.0),),
        point_labels=(0,),
        correction=True,
        origin="manifest",
    ),
)


def write(path: Path, rows: Sequence[Mapping[str, object]], *, text: bool = False) -> str:
    """Write rows in the format of the path's extension."""
    encode = json.dumps if text or path.suffix == ".csv" else (lambda value: value)
    rows = [{k: encode(v) if k == "prompts" else v for k, v in row.items()} for row in rows]
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".csv":
        columns = list(dict.fromkeys(key for row in rows for key in row))
        quoted = [
            ",".join('"' + str(row.get(c, "")).replace('"', '""') + '"' for c in columns)
            for row in rows
        ]
        path.write_text("\n".join([",".join(columns), *quoted]) + "\n")
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.mark.parametrize("text", [False, True], ids=["native", "text"])
@pytest.mark.parametrize("ending", ["csv", "jsonl", "ndjson", "parquet"])
def test_all_formats_mean_the_same(tmp_path: Path, ending: str, *, text: bool) -> None:
    rows: list[dict[str, object]] = [
        {"uri": "a.mp4", "id": "first", "prompts": PROMPTS},
        {"uri": "s3://b/c.mp4"},
    ]
    first, second = read_manifest(write(tmp_path / f"m.{ending}", rows, text=text))
    assert (first.uri, first.video_id) == (str(tmp_path / "a.mp4"), "first")
    assert first.prompts == EXPECTED
    assert second.uri == "s3://b/c.mp4"
    assert second.video_id.startswith("c-")
    assert second.prompts == ()


def test_prompts_without_ids_are_separate_objects(tmp_path: Path) -> None:
    prompts = [{"box_xyxy": [0, 0, 1, 1]}, {"points_xy": [[5, 5]]}]
    (entry,) = read_manifest(write(tmp_path / "m.jsonl", [{"uri": "a", "prompts": prompts}]))
    assert [prompt.object_id for prompt in entry.prompts] == [0, 1]
    assert entry.prompts[1].point_labels == (1,)


def test_missing_object_is_a_source_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "there.mp4").write_bytes(b"")
    uri = write(tmp_path / "m.csv", [{"uri": "gone.mp4"}, {"uri": "there.mp4"}, {"uri": "."}])
    gone, there, folder = list_sources(InputParams(uri=uri))
    assert (gone.etag, gone.size_bytes) == ("", 0)
    assert there.etag
    assert folder.etag == ""
    for source in (gone, folder):
        with pytest.raises(DataError) as caught, open_binary(source.uri):
            pass
        assert caught.value.kind == "unreadable"


BAD_LINES = [
    ("nope", "line 1 must be one JSON object, got expected ident at line 1 column 2"),
    ("[1]", "line 1 must be one JSON object, got a list"),
    ('{"uri": ""}', "line 1: uri must have at least 1 character, got ''"),
    ('{"id": "a"}', "line 1: uri must be given"),
    ('{"uri": 3}', "line 1: uri must be a valid string, got 3"),
    (
        '{"uri": "a", "Promts ": 1}',
        "line 1: Promts  is not a known key; did you mean prompts?",
    ),
    (
        '{"uri": "a", "objectid": 1}',
        (
            "line 1: objectid is not a known key; did you mean object_id of a prompt? Put it into "
            "prompts, or rename a column of your own"
        ),
    ),
    (
        '{"uri": "a", "id": "a/b"}',
        "line 1: id must match pattern '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$', got 'a/b'",
    ),
    (
        '{"uri": "a", "prompts": [{"box_xyxy": [1, 2, 3]}]}',
        ("line 1: prompts[0].box_xyxy must have at least 4 items, got [1, 2, 3]"),
    ),
    (
        '{"uri": "a", "prompts": [{"box": [1, 2, 3, 4]}]}',
        (
            "line 1: prompts[0].box is not a known key; known keys: object_id, frame, box_xyxy, "
            "points_xy, point_labels, mask_rle, label, correction"
        ),
    ),
    (
        '{"uri": "a", "prompts": [{"frame": "2", "mask_rle": "0"}]}',
        "line 1: prompts[0].frame must be a valid integer, got '2'",
    ),
    (
        '{"uri": "a", "prompts": [{"frame": 2}]}',
        "line 1: prompts: a prompt must have a box, points or a mask, got none of them",
    ),
    (
        '{"uri": "a", "prompts": [{"points_xy": [[1, 2]], "point_labels": [1, 0]}]}',
        "line 1: prompts: points_xy and point_labels must be equally long, got 1 and 2",
    ),
    (
        '{"uri": "a", "prompts": [{"box_xyxy": [3, 0, 1, 1]}]}',
        "line 1: prompts: box_xyxy must have x0 < x1 and y0 < y1, got [3.0, 0.0, 1.0, 1.0]",
    ),
    (
        '{"uri": "a", "prompts": [{"box_xyxy": [0.25, 0.1, 0.75, 0.5]}]}',
        (
            "line 1: prompts: box_xyxy must be in pixels, not in fractions of the picture, and at "
            "least 1 pixel wide and high, got [0.25, 0.1, 0.75, 0.5]"
        ),
    ),
    (
        (
            '{"uri": "a", "prompts": [{"object_id": 2, "frame": 7, "box_xyxy": [0, 0, 9, 9]}, '
            '{"object_id": 2, "frame": 7, "box_xyxy": [1, 1, 8, 8], "correction": true}]}'
        ),
        (
            "line 1: prompts: an object must have at most one box and one mask on a frame, got 2 "
            "for object 2 on frame 7"
        ),
    ),
    (
        '{"uri": "a", "prompts": [{"object_id": 1, "mask_rle": "0"}, {"mask_rle": "0"}]}',
        "line 1: prompts: all prompts or none must have an object_id, got some",
    ),
    (
        '{"uri": "a", "prompts": [{"frame": 2, "mask_rle": "0", "correction": true}]}',
        "line 1: prompts: a correction must have points or a box and no mask, got a mask",
    ),
    (
        '{"uri": "a", "prompts": [{"points_xy": [[1, 2]], "correction": true}]}',
        "line 1: prompts: a correction must have a frame, got none",
    ),
    (
        '{"uri": "a", "prompts": [{"frame": 2, "box_xyxy": [0, 0, 1, 1], "correction": true}]}',
        (
            "line 1: prompts: object 0 must have a prompt that is no correction, got only "
            "corrections"
        ),
    ),
    (
        '{"uri": "a", "shots": []}',
        "line 1: shots must have at least 1 item, got []",
    ),
    (
        '{"uri": "a", "shots": [[0, 5.5]]}',
        "line 1: shots[0][1] must be a valid integer, got 5.5",
    ),
    (
        '{"uri": "a", "shots": [[0, 5], [-1, 7]]}',
        "line 1: shots[1][0] must be greater than or equal to 0, got -1",
    ),
    (
        '{"uri": "a", "shots": [[0, 5], [7, 7]]}',
        "line 1: shots: [start_frame, stop_frame] must have start < stop, got [7, 7]",
    ),
    (
        '{"uri": "a", "shots": [[0, 5], [4, 7]]}',
        (
            "line 1: shots: shots must be in order and must not overlap, got [4, 7] after a shot "
            "that ends at 5"
        ),
    ),
    (
        '{"uri": "a", "prompts": [{"frame": 2, "points_xy": [[1, 2]], "correction": 1}]}',
        "line 1: prompts[0].correction must be a valid boolean, got 1",
    ),
    (
        '{"uri": "a"}\n\n{"uri": "./a"}',
        "line 3: uri must be unique, got '{folder}/a' as on line 1",
    ),
    (
        '{"uri": "a", "id": "x"}\n{"uri": "b", "id": "x"}',
        "line 2: id must be unique, got 'x' as on line 1",
    ),
    (
        '{"uri": "a", "add_products": "sometimes"}',
        "line 1: add_products must be 'always', 'unprompted' or 'never', got 'sometimes'",
    ),
    ("", "must have at least one row, got none"),
    (
        '{"uri": "a", "prompts": [{"object_id": 9223372036854775808, "box_xyxy": [0, 0, 9, 9]}]}',
        (
            "line 1: prompts[0].object_id must be less than or equal to 2147483647, "
            "got 9223372036854775808"
        ),
    ),
    (
        '{"uri": "a", "prompts": [{"frame": 18446744073709551616, "box_xyxy": [0, 0, 9, 9]}]}',
        (
            "line 1: prompts[0].frame must be less than or equal to 2147483647, "
            "got 18446744073709551616"
        ),
    ),
    (
        '{"uri": "a", "shots": [[0, 9223372036854775808]]}',
        "line 1: shots[0][1] must be less than or equal to 2147483647, got 9223372036854775808",
    ),
]


@pytest.mark.parametrize(("text", "message"), BAD_LINES)
def test_bad_line_is_reported_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_manifest(str(path))
    expected = message.replace("{folder}", str(tmp_path))
    assert str(caught.value) == f"$.input.uri: manifest {path} {expected}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1 must be a header with the column uri, got an empty file"),
        ("url\na\n", "line 1 must be a header with the column uri, got url"),
        ("uri,id\na\n", "line 2 must have 2 fields, as line 1 has"),
        ("uri\na,b\n", "line 2 must have 1 fields, as line 1 has"),
        ('uri\n"a\n', "line 1 must be valid CSV, got unexpected end of data"),
        ("uri,prompts\na,[{]\n", "line 2: prompts must be JSON text (key must be a string"),
    ],
)
def test_bad_csv(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "m.csv"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_manifest(str(path))
    assert str(caught.value).startswith(f"$.input.uri: manifest {path} {message}")


def test_bytes_that_are_neither_text_nor_parquet(tmp_path: Path) -> None:
    for name, what in (("m.csv", "line 1 must be UTF-8 text"), ("m.parquet", "must be Parquet")):
        (tmp_path / name).write_bytes(b"\xff\xfe\x00")
        with pytest.raises(ConfigError, match=what):
            read_manifest(str(tmp_path / name))


def test_byte_order_mark_is_not_part_of_the_header(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_bytes(b"\xef\xbb\xbfuri\r\na.mp4\r\n")
    assert read_manifest(str(tmp_path / "m.csv"))[0].uri == str(tmp_path / "a.mp4")


@pytest.mark.parametrize(
    ("limit", "value", "message"),
    [
        ("MAX_BYTES", 10, "must have at most 10 bytes, got 26"),
        ("MAX_LINE_BYTES", 10, "line 1 must have at most 10 bytes"),
        ("MAX_ROWS", 1, "must have at most 1 rows"),
    ],
)
def test_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int, message: str
) -> None:
    monkeypatch.setattr(manifest_rows, limit, value)
    uri = write(tmp_path / "m.jsonl", [{"uri": "a"}, {"uri": "b"}])
    with pytest.raises(ConfigError, match=message):
        read_manifest(uri)


def test_missing_manifest(tmp_path: Path) -> None:
    with pytest.raises(PreflightError, match=r"cannot read the manifest: no file at /"):
        read_manifest(str(tmp_path / "m.csv"))


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        ("ftpx://me:secret@host/a.mp4", "no filesystem for ftpx://host/a.mp4; install the fsspec"),
        ("S3://bucket/a.mp4", "no filesystem for S3://bucket/a.mp4; install the fsspec package"),
        ("reference://a.mp4", "reference://a.mp4 failed with TypeError"),
        ("file://a.mp4", "uri must have an absolute path after file://, got 'file://a.mp4'"),
        ("https://me:secret@/a.mp4?sig=secret", "uri must name a host, got 'https:///a.mp4'"),
    ],
)
def test_a_uri_that_nothing_opens(tmp_path: Path, uri: str, problem: str) -> None:
    manifest = write(tmp_path / "m.jsonl", [{"uri": "a.mp4"}, {"uri": "s3://b/c"}, {"uri": uri}])
    with pytest.raises(ConfigError) as caught:
        read_manifest(manifest)
    said = str(caught.value)
    assert said.startswith(f"$.input.uri: manifest {manifest} line 3: {problem}")
    assert "secret" not in said


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("counts", ["051", [0, 5, 1]])
def test_a_mask_has_the_size_that_coco_gives_it(
    tmp_path: Path, counts: object, *, text: bool
) -> None:
    mask: object = {"size": [2, 3], "counts": counts}
    row = {"uri": "a.mp4", "prompts": [{"mask_rle": json.dumps(mask) if text else mask}]}
    (entry,) = read_manifest(write(tmp_path / "m.jsonl", [row]))
    (prompt,) = entry.prompts
    compressed, size = rle.from_text(prompt.mask_rle or "")
    assert size == (2, 3)
    assert rle.decode(compressed, 2, 3).tolist() == [[True, True, True], [True, True, False]]


@pytest.mark.parametrize(
    ("mask", "problem"),
    [
        ({"counts": "1"}, "must have the keys size and counts, got counts"),
        ({"size": [2, 3], "counts": "1", "id": 1}, "must have the keys size and counts, got size"),
        ({"size": [2], "counts": "1"}, "must have a size of [height, width], got [2]"),
        ({"size": [2, -3], "counts": "1"}, "must have a size of [height, width], got [2, -3]"),
        ({"size": [2, True], "counts": "1"}, "must have a size of [height, width]"),
        ({"size": "2x3", "counts": "1"}, "must have a size of [height, width], got 2x3"),
        ({"size": [2, 3], "counts": [5]}, "must have run lengths of 2x3 pixels, got others"),
        ({"size": [2, 3], "counts": [7, -1]}, "must have run lengths of 2x3 pixels, got others"),
        (
            {"size": [1 << 70, 0], "counts": []},
            "must have a size of at most 4294967295 pixels, got [1180591620717411303424, 0]",
        ),
        (
            {"size": [1 << 31, 2], "counts": [1 << 32]},
            "must have a size of at most 4294967295 pixels, got [2147483648, 2]",
        ),
        ({"size": [2, 3], "counts": 6}, "must have counts that are text or a list, got int"),
        ("{size", "must be JSON text"),
        (6, "must be a valid string, got 6"),
    ],
)
def test_a_mask_of_another_form(tmp_path: Path, mask: object, problem: str) -> None:
    path = write(tmp_path / "m.jsonl", [{"uri": "a.mp4", "prompts": [{"mask_rle": mask}]}])
    with pytest.raises(ConfigError) as caught:
        read_manifest(path)
    assert f"line 1: prompts[0].mask_rle {problem}" in str(caught.value)


@pytest.mark.parametrize("name", ["m.json", "m.tsv", "videos.CSV.gz"])
def test_a_list_of_another_format_is_no_video(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("uri\na.mp4\n")
    with pytest.raises(ConfigError) as caught:
        list_sources(InputParams(uri=str(tmp_path / name)))
    assert str(caught.value) == (
        "$.input.uri must be videos or a manifest (.csv, .jsonl, .ndjson, .parquet), got "
        f"{tmp_path / name}; convert it"
    )
