"""Fitness of the masklets of a dataset, read file by file and without their masks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pvtt_flow.core.fitness import Fitness, judge_fitness
from pvtt_flow.core.fitness_rows import FitnessRows
from pvtt_flow.core.profile import Profile
from pvtt_flow.dataset.damage import naming_damage
from pvtt_flow.types import VerdictName

_FACTS = ("masklet_id", "video_id", "verdict", "width_px", "height_px")
_BOX, _LARGEST_BOX = "box_xyxy", "largest_fragment_box_xyxy"
_FIELDS = ("frame_index", "pts_ns", _BOX, _LARGEST_BOX, "area_px")
# Long columns, which a filter cannot use.
_LISTS = ("frames", "prompts", "reasons")


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskletFitness:
    """Fitness of one masklet for one profile."""

    masklet_id: str
    video_id: str
    verdict: VerdictName | None
    """Verdict on the mask."""
    fitness: Fitness
    """Verdict for the profile."""


def fitness_of(
    scan: ds.FileSystemDataset, profiles: Sequence[Profile], where: ds.Expression | None
) -> Iterator[MaskletFitness]:
    """Judge each masklet that matches, for each profile; holds a row group at a time."""
    for file in scan.get_fragments(filter=where):
        with naming_damage([file]):
            for rows in _row_groups(file, scan.schema, where):
                yield from _judged(rows, profiles)


def _row_groups(
    file: ds.ParquetFileFragment, schema: pa.Schema, where: ds.Expression | None
) -> Iterator[pa.Table]:
    """Yield the matching rows of each row group: their facts, and `frames` without masks."""
    names = list(_FACTS) if where is None else [n for n in schema.names if n not in _LISTS]
    with file.open() as stream, pq.ParquetFile(stream, page_checksum_verification=True) as parquet:
        paths = [parquet.schema.column(number).path for number in range(len(parquet.schema))]
        # A list of structs can be read in part only by the names of its leaves.
        leaves = [p for p in paths if p.startswith("frames.") and p.split(".")[3] in _FIELDS]
        for group in file.split_by_row_group(where, schema=schema):
            facts = group.to_table(schema, columns=names)
            frames = parquet.read_row_group(group.row_groups[0].id, leaves)["frames"]
            rows = facts.append_column("frames", frames)
            yield rows if where is None else rows.filter(where)


def _judged(rows: pa.Table, profiles: Sequence[Profile]) -> Iterator[MaskletFitness]:
    facts = rows.select(_FACTS).to_pylist()
    for row, frames in zip(facts, _frames_of(rows), strict=True):
        for profile in profiles:
            yield MaskletFitness(
                masklet_id=row["masklet_id"],
                video_id=row["video_id"],
                verdict=row["verdict"],
                fitness=judge_fitness(profile, frames),
            )


def _frames_of(rows: pa.Table) -> Iterator[FitnessRows]:
    frames = rows["frames"].combine_chunks()
    stops = np.cumsum([0, *pc.list_value_length(frames).to_numpy(zero_copy_only=False)])
    structs = pc.list_flatten(frames)
    columns = {field.name: pc.struct_field(structs, field.name) for field in structs.type}
    is_present = _is_valid(columns[_BOX])
    boxes = np.zeros((len(is_present), 4))
    _fill(boxes, columns[_BOX])
    largest = boxes.copy()
    # Older rows lack the column.
    if _LARGEST_BOX in columns:
        _fill(largest, columns[_LARGEST_BOX])
    sizes = zip(rows["width_px"].to_pylist(), rows["height_px"].to_pylist(), strict=True)
    for (start, stop), (width_px, height_px) in zip(pairwise(stops.tolist()), sizes, strict=True):
        here = slice(start, stop)
        yield FitnessRows(
            frame_index=columns["frame_index"].to_numpy()[here],
            pts_ns=columns["pts_ns"].to_numpy()[here],
            is_present=is_present[here],
            box_xyxy=boxes[here],
            largest_fragment_box_xyxy=largest[here],
            area_px=columns["area_px"].to_numpy()[here],
            width_px=width_px,
            height_px=height_px,
        )


def _fill(boxes: NDArray[np.float64], column: pa.ListArray) -> None:
    """Write the boxes of a column into (T, 4), where it has any."""
    boxes[_is_valid(column)] = pc.list_flatten(column).to_numpy().reshape(-1, 4)


def _is_valid(column: pa.ListArray) -> NDArray[np.bool_]:
    return np.asarray(column.is_valid().to_numpy(zero_copy_only=False))
