"""Command that measures a dataset against annotated truth."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pvtt_flow.cli.options import Json, console, print_json
from pvtt_flow.core.printable import printable
from pvtt_flow.errors import ConfigError

if TYPE_CHECKING:
    from rich.table import Table

    from pvtt_flow.evaluate.scores import SequenceScores
    from pvtt_flow.evaluate.truth import TrueSequence

_MEANS = {
    "J&F": "jf", "J": "j", "J recall": "j_recall", "J decay": "j_decay",
    "F": "f", "F recall": "f_recall", "F decay": "f_decay", "boundary IoU": "boundary_iou",
}  # fmt: skip
_COUNTS = {
    "tracked": "tracked", "failed": "failed", "missed": "missed",
    "hallucinated": "hallucinated", "noticed absence": "noticed_absence",
}  # fmt: skip


Truth = Annotated[
    Path,
    typer.Option(metavar="DIR", help="Masks as DAVIS, YouTube-VOS, MOSE or SA-V have them."),
]
Sequences = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Names, one a line, as in ImageSets. Default: all."),
]


class By(StrEnum):
    """Rows of the table."""

    SET = "set"
    SEQUENCE = "sequence"
    OBJECT = "object"


def evaluate(
    datasets: Annotated[
        list[str], typer.Argument(metavar="DATASET...", help="Folders or s3:// uris.")
    ],
    truth: Truth,
    sequences: Sequences = None,
    by: Annotated[By, typer.Option(help="A row for each of these.")] = By.SET,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Measure masks against true ones: J, F, boundary IoU and more.

    Several datasets are compared in one table. A sequence is the video with its name as id, file
    name or folder name. As in DAVIS, the first and the last annotated frame do not count.
    """
    from pvtt_flow.evaluate.truth import read_truth

    annotated = read_truth(truth, _names(sequences))
    scores = {dataset: _score(dataset, annotated) for dataset in dict.fromkeys(datasets)}
    if as_json:
        print_json([_tree(*each) for each in scores.items()])
        return
    out = console()
    out.print(_table(scores, by))
    for dataset, found in scores.items():
        for note in _notes(found):
            out.print(f"{printable(dataset)}: {note}", highlight=False, soft_wrap=True)


class Kind(StrEnum):
    """Prompts of an object."""

    MASK = "mask"
    BOX = "box"
    POINT = "point"


def prompts(
    truth: Truth,
    to: Annotated[Path, typer.Option(metavar="FILE", help="Manifest to write, a .jsonl.")],
    sequences: Sequences = None,
    kind: Annotated[Kind, typer.Option(help="What each object is prompted with.")] = Kind.MASK,
    videos: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The videos. Default: the frames beside the masks."),
    ] = None,
) -> None:
    """Write a manifest that prompts the true objects.

    Each is prompted on the first frame that shows it. A run with the manifest, as `input.uri`,
    tracks these objects and no others, for `evaluate`.
    """
    from pvtt_flow.evaluate.prompts import manifest_rows
    from pvtt_flow.evaluate.truth import read_truth

    if to.suffix != ".jsonl":
        raise ConfigError(f"--to must be a .jsonl file, got {to}")
    annotated = read_truth(truth, _names(sequences))
    rows = [json.dumps(row) for row in manifest_rows(annotated, kind.value, videos)]
    try:
        to.write_text("".join(f"{row}\n" for row in rows))
    except OSError as error:
        raise ConfigError(f"--to must be a file that can be written: {error}") from error
    typer.echo(f"{len(rows)} sequences in {to}")


def _names(file: Path | None) -> list[str] | None:
    """Return the names of a file, one a line."""
    if file is None:
        return None
    try:
        names = file.read_text().split()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--sequences must be a text file of names: {error}") from error
    if not names:
        raise ConfigError(f"--sequences must be a text file of names, but {file} is empty")
    return list(dict.fromkeys(names))


def _score(dataset: str, truth: "Sequence[TrueSequence]") -> "list[SequenceScores]":
    """Score all sequences of a dataset, in order, with a bar."""
    from rich.progress import track

    from pvtt_flow import open_dataset
    from pvtt_flow.evaluate.job import evaluate_dataset

    found = track(
        evaluate_dataset(open_dataset(dataset), truth), "sequences", total=len(truth),
        console=console(stderr=True), transient=True,
    )  # fmt: skip
    return sorted(found, key=lambda scores: scores.sequence)


def _rows(
    dataset: str, found: "Sequence[SequenceScores]", by: By
) -> Iterator[tuple[str, Mapping[str, float]]]:
    """Yield name and numbers of each row."""
    from pvtt_flow.evaluate.summary import object_row, set_row

    if by is By.SET:
        yield dataset, set_row(found)
    elif by is By.SEQUENCE:
        yield from ((each.sequence, set_row([each])) for each in found)
    else:
        for each in found:
            for scores in each.objects:
                yield f"{each.sequence} {scores.object_id}", object_row(scores)


def _table(scores: "Mapping[str, Sequence[SequenceScores]]", by: By) -> "Table":
    from rich.table import Table

    table = Table(title="evaluation", title_justify="left")
    table.add_column("dataset" if by is By.SET else by.value, overflow="fold")
    for name in (*_MEANS, *_COUNTS):
        table.add_column(name, justify="right")
    for dataset, found in scores.items():
        if by is not By.SET and len(scores) > 1:
            table.add_section()
            table.add_row(printable(dataset), style="bold")
        for name, row in _rows(dataset, found, by):
            means = [_number(row[key]) for key in _MEANS.values()]
            if not math.isnan(error := row.get("jf_standard_error", math.nan)):
                means[0] += f" ± {error:.3f}"
            table.add_row(printable(name), *means, *(f"{row[key]:,}" for key in _COUNTS.values()))
    return table


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3f}"


def _notes(found: "Sequence[SequenceScores]") -> Iterator[str]:
    """Yield what a reader of the numbers must know."""
    by_overlap = sum(each.matched_by == "overlap" for each in found)
    if by_overlap:
        yield (
            f"masklets of {by_overlap} of {len(found)} sequences were matched to objects by their "
            "overlap, as their prompts are a detector's"
        )
    if empty := sum(not any(o.masklet_ids for o in each.objects) for each in found):
        # A video without a product or a failed one, or a manifest with other numbers of objects.
        yield (
            f"{empty} of {len(found)} sequences have no masklet of a true object, and count with "
            "empty masks"
        )
    if left_out := sum(each.num_left_out for each in found):
        yield f"{left_out:,} annotated frames do not count, for sampling left them out"


def _tree(dataset: str, found: "Sequence[SequenceScores]") -> dict[str, Any]:
    """Return a dataset's numbers as JSON has them: null for what has no value."""
    from pvtt_flow.evaluate.summary import object_row, set_row

    return {
        "dataset": dataset,
        "set": _without_nan(set_row(found)),
        "sequences": [
            {
                "sequence": each.sequence,
                "matched_by": each.matched_by,
                "left_out_frames": each.num_left_out,
                **_without_nan(set_row([each])),
                "objects": [
                    {
                        "object_id": scores.object_id,
                        "masklet_ids": scores.masklet_ids,
                        **_without_nan(object_row(scores)),
                    }
                    for scores in each.objects
                ],
            }
            for each in found
        ],
    }


def _without_nan(row: Mapping[str, float]) -> dict[str, float | None]:
    return {key: None if math.isnan(value) else value for key, value in row.items()}
