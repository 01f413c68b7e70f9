"""Summary of the rows: numbers to quote and tables to read."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench.gpu.record import Part

Parts = Mapping[str, Part]
Rows = list[dict[str, Any]]
_HOUR_S = 3_600
_TABLES = (
    *("start", "attention", "frames_per_s", "ratios", "iou", "savings", "roofline", "memory"),
    "job",
)


def summarize(parts: Parts, dollars_an_hour: float) -> dict[str, object]:
    """Return the numbers to quote of the parts that were measured; medians over the rounds."""
    found = {name: [row for row in part.rows if "error" not in row] for name, part in parts.items()}
    return {
        "start": _start(found.get("start", [])),
        "attention": _attention(found.get("attention", [])),
        "frames_per_s": _speeds(found.get("speed", [])),
        "ratios": _ratios(found.get("speed", [])),
        "iou": _ious([*found.get("start", []), *found.get("speed", [])]),
        "savings": _savings(found.get("savings", [])),
        "roofline": _roofline(found.get("roofline", [])),
        "memory": _memory(found.get("memory", [])),
        "job": _job(found.get("job", []), dollars_an_hour),
        "errors": [
            f"{name}: {row.get('model', '')} {row.get('system', row.get('step', ''))}: "
            f"{_last_line(str(row['error']))}"
            for name, part in parts.items()
            for row in part.rows
            if "error" in row
        ],
        "left_out": [f"{name}: {what}" for name, part in parts.items() for what in part.left_out],
    }


def show(summary: Mapping[str, Any], console: Console) -> None:
    """Print the summary."""
    for part in _TABLES:
        if summary[part]:
            console.print(_table(part, summary[part]))
    for kind in ("errors", "left_out"):
        for line in summary[kind]:
            console.print(f"{kind}: {line}", markup=False)


def _table(title: str, rows: Mapping[str, Mapping[str, object]]) -> Table:
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    table = Table("", *columns, title=title)
    for name, row in rows.items():
        table.add_row(name, *(_shown(row.get(column)) for column in columns))
    return table


def _shown(value: object) -> str:
    if isinstance(value, list):
        return "\n".join(map(_shown, value))
    return "" if value is None else str(value)


def _start(rows: Rows) -> dict[str, dict[str, object]]:
    return {
        f"{row['model']} {row['system']}": {
            "warm-up, s": _rounded(row["warm_up_s"]),
            "frames/s": _rounded(row["frames_per_s"]),
            "graphs": row["num_graphs"],
            "recompiles": row["num_recompiles"],
            "graph breaks": row["num_graph_breaks"],
            "warnings": len(row["warnings"]),
            "peak, MB": _megabytes(row),
            "attention": [name[:40] for name in row["attention"]],
            "chosen": row["chosen"],
        }
        for row in rows
        if "warm_up_s" in row
    }


def _attention(rows: Rows) -> dict[str, dict[str, object]]:
    """Return milliseconds, TFLOP/s and the largest difference, by load and kernel."""
    return {
        f"{row['num_objects']} objects, {row['num_memories']} memories, "
        f"{'ragged' if row['is_ragged'] else 'full'}: {row['kernel']}": {
            "ms": _rounded(row["ms"]),
            "TFLOP/s": _rounded(row["tflops_per_s"]),
            "difference": _rounded(row["max_difference"]),
        }
        for row in rows
    }


def _speeds(rows: Rows) -> dict[str, dict[str, object]]:
    """Return frames per second by race and system, in steady state where there was one."""
    table: dict[str, dict[str, object]] = defaultdict(dict)
    for (race, system, decode), passes in _grouped(_passes(rows)).items():
        name = f"{race} {system}"
        table[name]["decoded" if decode else "in memory"] = _rounded(median(map(_speed, passes)))
        if not decode:
            table[name]["object-frames/s"] = _rounded(
                median(_speed(row) * row["num_objects"] for row in passes)
            )
            table[name]["peak, MB"] = max(map(_megabytes, passes))
            table[name]["warnings"] = max(len(row["warnings"]) for row in passes)
    return dict(table)


def _ratios(rows: Rows) -> dict[str, dict[str, object]]:
    """Return the best engine's speed over each peer's: each round's ratio, then their median."""
    rounds: dict[tuple[str, bool], dict[str, dict[int, float]]] = defaultdict(
        lambda: defaultdict(dict)
    )
    for (race, system, decode), passes in _grouped(_passes(rows)).items():
        rounds[race, decode][system] = {row["round"]: _speed(row) for row in passes}
    table: dict[str, dict[str, object]] = defaultdict(dict)
    for (race, decode), systems in rounds.items():
        engines = {name: own for name, own in systems.items() if name.startswith("engine")}
        if not engines:
            continue
        best = max(engines, key=lambda name: median(engines[name].values()))
        for peer, own in systems.items():
            both = [engines[best][n] / speed for n, speed in own.items() if n in engines[best]]
            if peer not in engines and both:
                where = "decoded" if decode else "in memory"
                table[f"{race}: {best} over {peer}"][where] = _rounded(median(both))
    return dict(table)


def _ious(rows: Rows) -> dict[str, dict[str, object]]:
    return {
        f"{_race(row)} {row['system']} against {row['against']}": {
            "median": _rounded(row["iou_median"]),
            "1st percentile": _rounded(row["iou_p1"]),
            "masks": row["num_masks"],
            "empty": _rounded(row["share_empty"]),
        }
        for row in rows
        if "iou_median" in row
    }


def _savings(rows: Rows) -> dict[str, dict[str, object]]:
    """Return frames per second with each saving over those without it: each round's, then median,
    lowest and highest."""
    table: dict[str, dict[str, object]] = {}
    for saving in dict.fromkeys(row["saving"] for row in rows if row["step"] == "saving"):
        table[saving] = {
            where: " ".join(str(_rounded(f(ratios))) for f in (median, min, max))
            for where, decode in (("in memory", False), ("decoded", True))
            if (
                ratios := [
                    row["ratio"]
                    for row in rows
                    if row["step"] == "saving"
                    and (row["saving"], row["decode"]) == (saving, decode)
                ]
            )
        }
    return table


def _roofline(rows: Rows) -> dict[str, dict[str, object]]:
    return {
        f"{row['model']} {row['system']}": {
            "frames/s": _rounded(_speed(row)),
            "GFLOP a frame": _rounded(row["flops_a_frame"] / 1e9),
            **{
                f"share of peak, {kind}": _rounded(share)
                for kind, share in row["share_of_roofline"].items()
            },
            "idle": _rounded(row["idle_share"]),
            "kernels": [
                f"{100 * kernel['share']:.1f} % {kernel['num_calls']}x {kernel['name'][:60]}"
                for kernel in row["kernels"][:8]
            ],
        }
        for row in rows
        if row["step"] == "profile"
    }


def _memory(rows: Rows) -> dict[str, dict[str, object]]:
    table: dict[str, dict[str, object]] = {}
    lengths = [row for row in rows if row["step"] == "length"]
    for lanes in dict.fromkeys(row["lanes"] for row in lengths):
        own = [row for row in lengths if row["lanes"] == lanes]
        if len(own) != 2:
            continue
        short, long = own
        table[f"{long['num_frames']} over {short['num_frames']} frames, {lanes} lanes"] = {
            kind: _rounded(long[f"{kind}_peak_bytes"] / short[f"{kind}_peak_bytes"])
            for kind in ("host", "device")
            if f"{kind}_peak_bytes" in long
        }
    for row in rows:
        if row["step"] == "too little memory":
            table["too little memory"] = {
                "frames": f"{row['num_frames']} of {row['num_expected']}",
                "warnings": len(row["warnings"]),
                "frames/s": _rounded(row["frames_per_s"]),
            }
    return table


def _job(rows: Rows, dollars_an_hour: float) -> dict[str, dict[str, object]]:
    table: dict[str, dict[str, object]] = {}
    for model in dict.fromkeys(row["model"] for row in rows):
        own = [row for row in rows if row["model"] == model]
        speed = median(row["job_frames_per_s"] for row in own)
        table[model] = {
            "job, frames/s": _rounded(speed),
            "engine, frames/s": _rounded(median(row["engine_frames_per_s"] for row in own)),
            "job over engine": _rounded(median(row["job_over_engine"] for row in own)),
            f"dollars for 1,000 frames at {dollars_an_hour} an hour": _rounded(
                dollars_an_hour / _HOUR_S / speed * 1_000
            ),
        }
    return table


def _passes(rows: Rows) -> Rows:
    return [row for row in rows if row.get("step") == "pass"]


def _grouped(rows: Iterable[dict[str, Any]]) -> dict[tuple[str, str, bool], Rows]:
    groups: dict[tuple[str, str, bool], Rows] = defaultdict(list)
    for row in rows:
        groups[_race(row), row["system"], row["decode"]].append(row)
    return groups


def _race(row: dict[str, Any]) -> str:
    return f"{row['model']}, {row['num_objects']} objects" if "num_objects" in row else row["model"]


def _speed(row: dict[str, Any]) -> float:
    return float(row["steady_frames_per_s"] or row["frames_per_s"])


def _megabytes(row: dict[str, Any]) -> int:
    peak: int = row.get("device_peak_bytes", row["host_peak_bytes"])
    return round(peak / 1e6)


def _last_line(text: str) -> str:
    return text.strip().splitlines()[-1]


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
