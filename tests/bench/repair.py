"""Worth of repairs: `python -m tests.bench.repair --work FOLDER`.

The embedded models follow the product of a box, with the errors of a detector, through clips of the
project's renderer on which it leaves, is covered, has a twin or is held, in turn. Their meshes and
seeds are those of the split `test`: nothing was trained, fitted or tuned on them. The detector
searches every fourth frame, and doubtful frames are tracked again from what it sees.

Printed are the change of the mean J of a clip, first and last frame left out, with its standard
error; the worst clip; and the same without gates: the doubt of the prompt, similarity, margin and
gain may be any. The oracle proposes true boxes, and of each clip keeps what is better by the truth.
`repair_gain_of_oracle` is the gain as a share of the oracle's.

Prints a table, then one line of JSON; writes `repair.json` beside this file.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track as track_progress
from rich.table import Table

from pvtt_flow.core import rle
from pvtt_flow.core.appearance import MeasureParams
from pvtt_flow.core.cleaning import CleanParams
from pvtt_flow.core.repair import RepairParams
from pvtt_flow.evaluate.measures import region_similarity
from pvtt_flow.stages._repair import Repairer
from pvtt_flow.training.corpus import AREA_PX, Split, library_of, seed_of
from pvtt_flow.training.detector.model import detect, open_detector
from pvtt_flow.training.evaluate_detector import MIN_SCORE
from pvtt_flow.training.evaluate_segmenter import MIN_FIRST_SHARE, NUM_FRAMES, TrueClip
from pvtt_flow.training.quality.clips import Recipe, detected_box, read_clip, track, tracker_of
from pvtt_flow.training.render.clip import random_clip
from pvtt_flow.training.render.scene import Event
from pvtt_flow.training.segmenter.model import CONFIG, WEIGHTS
from pvtt_flow.types import Masklet, Sighting
from tests.bench.machine import describe

OUTPUT = Path(__file__).with_name("repair.json")
EVENTS: tuple[Event, ...] = ("leave", "cover", "twin", "hold")
# Other clips than those of `tests.bench.quality`.
_FIRST_CLIP = 500_000
_EVERY = 4
_ATTEMPTS = 2
_SAMPLES = 500
Sightings = Mapping[int, Sequence[Sighting]]

GATED = RepairParams(attempts=_ATTEMPTS)
UNGATED = RepairParams(
    attempts=_ATTEMPTS,
    max_prompt_doubt=1,
    min_similarity=0,
    min_margin=0,
    min_cycle_iou=0,
    min_gain=-1,
    min_agreement_gain=-1,
)


@dataclass(frozen=True, slots=True)
class Repaired:
    """Masks of a clip after repairs."""

    change: float
    """Change of the mean J."""
    tried: int
    kept: int


@dataclass(frozen=True, slots=True)
class Row:
    """Results of one clip."""

    event: Event
    j: float
    gated: Repaired
    ungated: Repaired
    ideal: Repaired
    """By true boxes, without gates."""


def repair_clips(work: Path, split: Split, count: int, *, processes: int) -> Iterator[Row]:
    """Render, track and repair clips, in order of their numbers."""
    library_of(work / "assets", split)  # here, so that no two processes fetch it
    recipe = Recipe(work, split, WEIGHTS, CONFIG)
    with get_context("spawn").Pool(processes) as pool:
        # More than half of all clips show their product.
        made = pool.imap(partial(_repair_number, recipe), range(2 * count))
        yield from islice(filter(None, made), count)


def _repair_number(recipe: Recipe, index: int) -> Row | None:
    torch.set_num_threads(1)
    event = EVENTS[index % len(EVENTS)]
    rendered = random_clip(
        seed_of(recipe.split, NUM_FRAMES, _FIRST_CLIP + index),
        NUM_FRAMES,
        event=event,
        area_px=AREA_PX,
        library=library_of(recipe.work / "assets", recipe.split),
    )
    masks = rendered.labels == rendered.target + 1
    if masks[0].mean() < MIN_FIRST_SHARE:
        return None
    clip = TrueClip(f"{recipe.split}_{index}", rendered.frames, masks)
    tracked = track(recipe, clip, detected_box(masks[0], index))
    before = float(tracked.j[1:-1].mean())

    def repaired(sightings: Sightings, params: RepairParams) -> Repaired:
        repairer = Repairer(
            tracker=tracker_of(recipe),
            read=partial(read_clip, clip),
            params=params,
            clean=CleanParams(),
            measure=MeasureParams(),
            tracker_hash=tracked.masklet.tracker_hash,
            sightings=sightings,
        )
        found = repairer.repaired(tracked.masklet)
        j = region_similarity(_masks_of(found), masks)
        kept = sum(each.kept for each in found.repairs)
        return Repaired(float(j[1:-1].mean()) - before, len(found.repairs), kept)

    seen = _seen(rendered.frames)
    ideal = repaired(_true(masks), UNGATED)
    return Row(event, before, repaired(seen, GATED), repaired(seen, UNGATED), ideal)


def _seen(frames: NDArray[np.uint8]) -> Sightings:
    """Return what the embedded detector sees on each frame that is searched."""
    found = {
        index: detect(_detector(), frames[index], min_score=MIN_SCORE)
        for index in range(0, len(frames), _EVERY)
    }
    return {
        index: [
            _sighting(index, box.tolist(), float(score)) for box, score in zip(*both, strict=True)
        ]
        for index, both in found.items()
    }


def _true(masks: NDArray[np.bool_]) -> Sightings:
    """Return the true box on each frame that is searched."""
    found = {index: rle.box_of(masks[index]) for index in range(0, len(masks), _EVERY)}
    return {
        index: [] if box is None else [_sighting(index, box, 1.0)] for index, box in found.items()
    }


def _sighting(index: int, box_xyxy: Sequence[float], score: float) -> Sighting:
    box = tuple(float(v) for v in box_xyxy)
    return Sighting(frame_index=index, track=0, label="product", box_xyxy=box, score=score)


def _masks_of(masklet: Masklet) -> NDArray[np.bool_]:
    size = masklet.height_px, masklet.width_px
    return np.stack(
        [
            np.zeros(size, np.bool_) if frame.rle is None else rle.decode(frame.rle, *size)
            for frame in masklet.frames
        ]
    )


@cache
def _detector() -> Any:
    return open_detector()


def summarize(repaired: Sequence[Repaired]) -> dict[str, float]:
    """Return the mean change of J with its error, the worst clip, and how often masks were kept."""
    changes = np.array([each.change for each in repaired])
    return {
        "gain": float(changes.mean()),
        "standard_error": float(changes.std(ddof=1) / np.sqrt(len(changes))),
        "worst": float(changes.min()),
        "clips_worse_by_0.02": int((changes < -0.02).sum()),
        "tried": sum(each.tried for each in repaired),
        "kept": sum(each.kept for each in repaired),
    }


def share_of_oracle(rows: Sequence[Row]) -> dict[str, float]:
    """Return the gain as a share of the oracle's, with its deviation over clips drawn again."""
    gain = np.array([row.gated.change for row in rows])
    oracle = np.array([oracle_of(row).change for row in rows])
    chance, n = np.random.default_rng(0), len(rows)
    again = []
    for _ in range(_SAMPLES):
        drawn = chance.integers(0, n, n)
        if oracle[drawn].sum() > 0:
            again.append(gain[drawn].sum() / oracle[drawn].sum())
    value = float(gain.sum() / oracle.sum()) if oracle.sum() > 0 else float("nan")
    return {"value": value, "standard_error": float(np.std(again))}


def oracle_of(row: Row) -> Repaired:
    """Return the repair by true boxes, or none where the clip would be worse."""
    return row.ideal if row.ideal.change > 0 else replace(row.ideal, change=0.0, kept=0)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("training_work"))
    parser.add_argument("--clips", type=int, default=120)
    parser.add_argument("--split", choices=("calibration", "test"), default="test")
    parser.add_argument("--processes", type=int, default=2)
    args = parser.parse_args()
    made = repair_clips(args.work, args.split, args.clips, processes=args.processes)
    rows = list(track_progress(made, total=args.clips))
    ways = {
        "repaired": [row.gated for row in rows],
        "without gates": [row.ungated for row in rows],
        "oracle": [oracle_of(row) for row in rows],
    }
    table = Table("", "change of J", "worst clip", "worse by .02", "tried", "kept")
    for name, repaired in ways.items():
        s = summarize(repaired)
        change = f"{s['gain']:+.4f} ± {s['standard_error']:.4f}"
        counts = (f"{s[key]:g}" for key in ("clips_worse_by_0.02", "tried", "kept"))
        table.add_row(name, change, f"{s['worst']:+.3f}", *counts)
    Console().print(table)
    summary = {
        "clips": len(rows),
        "split": args.split,
        "j": float(np.mean([row.j for row in rows])),
        "repair_gain_of_oracle": share_of_oracle(rows),
        "repair_worst_j": summarize(ways["repaired"])["worst"],
        "params": GATED.model_dump(),
        **{name: summarize(repaired) for name, repaired in ways.items()},
        "change_by_event": {
            event: float(np.mean([row.gated.change for row in rows if row.event == event]))
            for event in EVENTS
        },
    }
    result = {**describe("tests.bench.repair"), **summary, "rows": [asdict(row) for row in rows]}
    if args.split == "test":
        OUTPUT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
