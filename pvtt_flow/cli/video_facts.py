"""Facts of one video in a dataset: as plain values, and as a page for a person."""

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from rich.table import Table

from pvtt_flow.core.fitness import judge_fitness
from pvtt_flow.core.fitness_rows import FitnessRows
from pvtt_flow.core.printable import printable
from pvtt_flow.core.timeline import NS_PER_S
from pvtt_flow.export.profiles import shipped
from pvtt_flow.types import Masklet, Repair, VideoRecord

if TYPE_CHECKING:
    from rich.console import Console

    from pvtt_flow.readers.snapshot import DatasetSnapshot

Facts: TypeAlias = Mapping[str, Any]
# The others are in the JSON.
_KEY_MEASUREMENTS = (
    "presence", "area_median", "area_jump_max", "box_jump_max", "visibility_flips",
    "object_score_p05", "predicted_iou_mean", "prompt_iou", "detector_iou_mean", "border_contact",
    "fragments_mean",
)  # fmt: skip
_ORIGIN = ("run_id", "config_hash", "tracker_hash", "tracker_license", "detector_hash",
           "detector_license", "code_version", "work_key", "input_uri")  # fmt: skip
# Texts of several lines. Elsewhere, the end of a line is a character of a name.
_IN_LINES = frozenset({"prompts", "repairs", "traceback"})
_SHOT = ("shot_id", "start_frame", "stop_frame", "start_ns", "stop_ns")


def facts_of(dataset: "DatasetSnapshot", record: VideoRecord) -> dict[str, Any]:
    """Return the columns of a video and its masklets, without masks and rows of frames.

    Keys are the names of the columns. Shots are those that have a masklet: the dataset has only the
    number of the others.
    """
    masklets = dataset.masklets_of(record.video_id)
    words = ("pvtt-flow", "retry", dataset.uri, record.video_id)
    by_shot = {masklet.shot_index: masklet for masklet in masklets}
    return {
        "dataset": dataset.uri,
        "version": dataset.version,
        **asdict(record),
        "retry": None if record.failure_kind is None else shlex.join(words),
        "shots": [
            {"shot_index": index, **{name: getattr(by_shot[index], name) for name in _SHOT}}
            for index in sorted(by_shot)
        ],
        "masklets": [_facts_of_masklet(masklet) for masklet in masklets],
    }


def _facts_of_masklet(masklet: Masklet) -> dict[str, Any]:
    values = asdict(masklet)
    del values["frames"]
    for prompt in values["prompts"]:
        prompt["has_mask"] = prompt.pop("mask_rle") is not None
    rows = FitnessRows.of(masklet.frames, width_px=masklet.width_px, height_px=masklet.height_px)
    judged = [judge_fitness(profile, rows) for profile in shipped()]
    return {
        **values,
        "num_frames": len(masklet.frames),
        "num_masks": sum(frame.rle is not None for frame in masklet.frames),
        "frames_by_flag": dict(Counter(flag for frame in masklet.frames for flag in frame.flags)),
        "fitness": [
            {**asdict(each), "reasons": [reason._asdict() for reason in each.reasons]}
            for each in judged
        ],
    }


def print_facts(facts: Facts, out: "Console") -> None:
    """Print the facts of a video as tables."""
    out.print(_pairs(facts["video_id"], _video_rows(facts)))
    if facts["failure_kind"] is not None:
        out.print(_pairs("failure", _failure_rows(facts)))
        out.print(f"process it again: {facts['retry']}, then run", soft_wrap=True, highlight=False)
    if facts["shots"]:
        out.print(_shots_table(facts))
    for masklet in facts["masklets"]:
        number, shot = masklet["object_id"], masklet["shot_index"]
        out.print(_pairs(f"masklet of object {number} in shot {shot}", _masklet_rows(masklet)))
        out.print(_fitness_table(masklet["fitness"]))
    out.print(_pairs("origin", _origin_rows(facts)))


def _pairs(title: str, rows: Iterator[tuple[str, object]]) -> Table:
    """Make a table of names and values, without those that are null or empty."""
    title = printable(title)
    table = Table(title=title, title_justify="left", show_header=False, min_width=len(title))
    table.add_column("name", no_wrap=True)
    table.add_column("value", overflow="fold")
    for name, value in rows:
        if value not in {None, ""}:
            table.add_row(name, printable(str(value), keep_lines=name in _IN_LINES))
    return table


def _video_rows(facts: Facts) -> Iterator[tuple[str, object]]:
    yield "status", facts["status"]
    if facts["gone_at_ns"] is not None:
        yield "gone from its input since", _utc(facts["gone_at_ns"])
    yield "uri", facts["uri"]
    yield "size", f"{facts['size_bytes']:,} bytes"
    yield "etag", facts["etag"]
    yield "content hash", facts["content_hash"]
    yield "format", _joined(facts["container"], facts["codec"], facts["pixel_format"])
    if facts["width_px"] is not None:
        turned = f", rotated by {facts['rotation_deg']}°" if facts["rotation_deg"] else ""
        yield "picture", f"{facts['width_px']}x{facts['height_px']} px{turned}"
    if facts["fps_num"] is not None:
        yield "frames per second", f"{facts['fps_num'] / max(1, facts['fps_den'] or 1):.6g}"
    if facts["duration_ns"] is not None:
        yield "duration", _seconds(facts["duration_ns"])
    yield "processed frames", f"{facts['num_frames']:,}"
    yield "shots", facts["num_shots"]
    yield "masklets", facts["num_masklets"]
    yield "flags", ", ".join(facts["flags"])
    for name, value in (facts["attributes"] or {}).items():
        yield f"attribute {printable(name)}", value


def _failure_rows(facts: Facts) -> Iterator[tuple[str, object]]:
    yield "stage", facts["failure_stage"]
    yield "kind", facts["failure_kind"]
    yield "message", facts["failure_message"]
    yield "failed attempts", facts["attempts"]
    yield "traceback", facts["failure_traceback"]


def _shots_table(facts: Facts) -> Table:
    table = Table(title="shots with masklets", title_justify="left")
    for column in ("shot", "frames", "from", "to"):
        table.add_column(column, justify="right")
    for shot in facts["shots"]:
        frames = f"{shot['start_frame']} to {shot['stop_frame'] - 1}"
        times = (_seconds(shot[name]) for name in ("start_ns", "stop_ns"))
        table.add_row(str(shot["shot_index"]), frames, *times)
    return table


def _masklet_rows(masklet: Facts) -> Iterator[tuple[str, object]]:
    scores = [prompt["score"] for prompt in masklet["prompts"] if prompt["score"] is not None]
    yield "id", masklet["masklet_id"]
    yield "label", masklet["label"]
    yield "detector's score", f"{scores[0]:.3g}" if scores else None
    yield "verdict", masklet["verdict"]
    yield "reasons", ", ".join(masklet["reasons"])
    for name in ("good_probability", "gone_probability"):
        yield name.replace("_", " "), _number(masklet[name])
    yield "frames with a mask", f"{masklet['num_masks']:,} of {masklet['num_frames']:,}"
    flags = masklet["frames_by_flag"]
    yield "frames by flag", ", ".join(f"{count} {flag}" for flag, count in flags.items())
    yield "prompts", "\n".join(map(_prompt, masklet["prompts"]))
    yield "repairs", "\n".join(str(Repair(**repair)) for repair in masklet["repairs"])
    for name in _KEY_MEASUREMENTS:
        yield name, _number((masklet["qc"] or {}).get(name))


def _prompt(prompt: Facts) -> str:
    kinds = [f"box {_box(prompt['box_xyxy'])}"] if prompt["box_xyxy"] is not None else []
    if prompt["points_xy"]:
        kinds.append(f"{len(prompt['points_xy'])} points")
    if prompt["has_mask"]:
        kinds.append("mask")
    correction = ", a correction" if prompt["correction"] else ""
    given = " and ".join(kinds)
    return f"frame {prompt['frame_index']}: {given} of the {prompt['origin']}{correction}"


def _fitness_table(fitness: Sequence[Facts]) -> Table:
    table = Table(title="fitness", title_justify="left")
    for column in ("profile", "verdict", "reasons", "remedy"):
        table.add_column(column, overflow="fold", no_wrap=column == "profile")
    for each in fitness:
        reasons = "; ".join(reason["text"] for reason in each["reasons"])
        table.add_row(each["profile"], each["verdict"], reasons, each["remedy"])
    return table


def _origin_rows(facts: Facts) -> Iterator[tuple[str, object]]:
    yield "finished (UTC)", _utc(facts["finished_at_ns"])
    for name in _ORIGIN:
        yield name, facts[name]
    yield "dataset", f"{facts['dataset']} (version {facts['version']})"


def _joined(*parts: str | None) -> str:
    return ", ".join(part for part in parts if part)


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:.4g}"


def _box(box: Sequence[float]) -> str:
    return f"[{', '.join(f'{side:g}' for side in box)}]"


def _seconds(time_ns: int) -> str:
    return f"{time_ns / NS_PER_S:.3f} s"


def _utc(time_ns: int) -> str:
    return f"{datetime.fromtimestamp(time_ns / NS_PER_S, UTC):%Y-%m-%d %H:%M:%S}"
