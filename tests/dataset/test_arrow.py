"""Every noun survives Arrow, and the public schemas do not change unnoticed."""

import dataclasses
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pvtt_flow.dataset.arrow import from_table, schema_of, to_table
from pvtt_flow.types import Masklet, Prompt, ShotRecord, VideoRecord

MASKLETS = """\
masklet_id: string not null
shot_id: string not null
video_id: string not null
object_id: int64 not null
label: string not null
shot_index: int64 not null
start_frame: int64 not null
stop_frame: int64 not null
start_ns: int64 not null
stop_ns: int64 not null
width_px: int64 not null
height_px: int64 not null
prompts: list<element: struct<object_id: int64 not null, frame_index: int64 not null, \
label: string not null, box_xyxy: list<element: double not null>, \
points_xy: list<element: list<element: double not null> not null> not null, \
point_labels: list<element: int64 not null> not null, mask_rle: string, \
correction: bool not null, score: double, margin: double, \
origin: string not null> not null> not null
frames: list<element: struct<frame_index: int64 not null, pts_ns: int64 not null, rle: string, \
box_xyxy: list<element: int64 not null>, largest_fragment_box_xyxy: list<element: int64 not null>, \
area_px: int64 not null, object_score: double, predicted_iou: double, fragments: int64 not null, \
holes: int64 not null, compactness: double, previous_iou: double, \
confidence: struct<mask_entropy: double, stability_score: double, soft_dice: double, \
candidate_iou: double>, appearance: struct<color_distance: double, contour_contrast: double, \
flow_iou: double>, detector_iou: double, backward_iou: double, \
salient_iou: double, flags: list<element: string not null> not null> not null> not null
repairs: list<element: struct<start_frame: int64 not null, stop_frame: int64 not null, \
prompt_frame: int64 not null, box_xyxy: list<element: double not null> not null, \
cycle_iou: double not null, gain: double, kept: bool not null> not null> not null
qc: struct<num_frames: int64 not null, presence: double not null, visibility_flips: int64 \
not null, area_median: double, area_jump_max: double, box_jump_max: double, object_score_p05: \
double, predicted_iou_mean: double, predicted_iou_p05: double, border_contact: double not null, \
fragments_mean: double, prompt_iou: double, holes_mean: double, compactness_mean: double, \
previous_iou_mean: double, previous_iou_p05: double, mask_entropy_mean: double, \
stability_score_mean: double, soft_dice_mean: double, candidate_iou_mean: double, \
color_distance_mean: double, color_distance_p95: double, contour_contrast_mean: double, \
flow_iou_mean: double, prompt_margin: double, detector_iou_mean: double, \
backward_iou_mean: double, backward_iou_prompt: double, salient_iou_mean: double>
verdict: string
reasons: list<element: string not null> not null
good_probability: double
gone_probability: double
work_key: string not null
run_id: string not null
config_hash: string not null
detector_hash: string not null
tracker_hash: string not null
detector_license: string
tracker_license: string
code_version: string not null"""

VIDEOS = """\
video_id: string not null
uri: string not null
etag: string not null
size_bytes: int64 not null
content_hash: string
processed_etag: string
container: string
codec: string
pixel_format: string
width_px: int64
height_px: int64
coded_width_px: int64
coded_height_px: int64
sample_aspect_num: int64
sample_aspect_den: int64
mirrored: bool
rotation_deg: int64
fps_num: int64
fps_den: int64
duration_ns: int64
num_frames: int64 not null
num_shots: int64 not null
num_masklets: int64 not null
flags: list<element: string not null> not null
inspect_s: double not null
detect_s: double not null
propagate_s: double not null
status: string not null
failure_stage: string
failure_kind: string
failure_message: string
failure_traceback: string
attempts: int64 not null
attributes: map<string, string>
input_uri: string not null
gone_at_ns: int64
work_key: string not null
run_id: string not null
config_hash: string not null
detector_hash: string not null
tracker_hash: string not null
detector_license: string
tracker_license: string
code_version: string not null
finished_at_ns: int64 not null"""

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
SCALARS = {
    str: TEXTS,
    dict[str, str]: st.dictionaries(TEXTS, TEXTS, max_size=2),
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False),
    bool: st.booleans(),
    bytes: st.binary(max_size=6),
    NoneType: st.none(),
}


def values(hint: Any) -> st.SearchStrategy[Any]:
    """A strategy for a field's annotation, by the same rules as the codec's."""
    if hint in SCALARS:
        return SCALARS[hint]
    if hint is Prompt:
        return prompts()
    if get_origin(hint) is Literal:
        return st.sampled_from(get_args(hint))
    if get_origin(hint) is tuple:
        return st.lists(values(get_args(hint)[0]), max_size=2).map(tuple)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        hints = get_type_hints(hint)
        return st.builds(hint, **{f.name: values(hints[f.name]) for f in dataclasses.fields(hint)})
    return st.one_of(*(values(arg) for arg in get_args(hint)))


@st.composite
def prompts(draw: st.DrawFn) -> Prompt:
    """A prompt has rules of its own: something to go by, no mask to correct with, and as many
    labels as points.
    """
    points = draw(values(tuple[tuple[float, ...], ...]))
    box = st.tuples(*[values(float)] * 4)
    correction = draw(values(bool))
    return Prompt(
        object_id=draw(values(int)),
        frame_index=draw(values(int)),
        label=draw(values(str)),
        box_xyxy=draw(box if correction else st.none() | box),
        points_xy=points,
        point_labels=tuple(draw(st.sampled_from((0, 1))) for _ in points),
        mask_rle=None if correction else draw(values(str)),
        correction=correction,
        score=draw(values(float | None)),
        origin=draw(st.sampled_from(("detector", "manifest"))),
    )


@pytest.mark.parametrize("cls", [ShotRecord, Masklet, VideoRecord])
def test_rows_survive_arrow(cls: type[Any]) -> None:
    @settings(max_examples=25, suppress_health_check=list(HealthCheck))
    @given(st.lists(values(cls), max_size=2))
    def survive(rows: list[Any]) -> None:
        table = to_table(cls, rows)
        table.validate(full=True)
        assert table.schema.equals(schema_of(cls))
        assert from_table(cls, table) == rows

    survive()


def test_no_rows_still_have_the_schema() -> None:
    assert to_table(Masklet, []).schema.equals(schema_of(Masklet))
    assert from_table(Masklet, to_table(Masklet, [])) == []


def test_other_columns_are_ignored_and_missing_ones_are_not() -> None:
    @dataclasses.dataclass(frozen=True)
    class Pair:
        a: int
        b: str | None

    table = pa.table({"b": [None], "extra": [1], "a": [7]})
    assert from_table(Pair, table) == [Pair(7, None)]
    with pytest.raises(KeyError, match='"b" does not exist'):
        from_table(Pair, table.drop_columns(["b"]))


def test_a_type_without_a_rule_is_refused() -> None:
    @dataclasses.dataclass(frozen=True)
    class Bad:
        a: dict[str, int]

    with pytest.raises(TypeError, match=r"no Arrow type for the annotation dict\[str, int\]"):
        schema_of(Bad)


@pytest.mark.parametrize(("cls", "text"), [(Masklet, MASKLETS), (VideoRecord, VIDEOS)])
def test_the_public_schemas(cls: type[Any], text: str) -> None:
    """A change here changes the dataset that people have: do it on purpose."""
    lines = [f"{f.name}: {f.type}{'' if f.nullable else ' not null'}" for f in schema_of(cls)]
    assert "\n".join(lines) == text


def test_the_text_of_a_shot_may_pass_two_gigabytes() -> None:
    """Strings have 32-bit offsets; the masks of a shot are one array."""

    def rle_type(schema: pa.Schema) -> pa.DataType:
        kind = schema.field("masklets").type if "masklets" in schema.names else None
        frames = (kind.value_type if kind else pa.struct(schema)).field("frames").type
        return frames.value_type.field("rle").type

    assert rle_type(schema_of(ShotRecord)) == pa.large_string()
    assert rle_type(schema_of(Masklet)) == pa.string(), "Delta has one type of text"
