"""Effect of cleaning on masks: `python -m tests.bench.cleaning --work FOLDER`.

The embedded model follows the product of a box through clips of the split `test`, as in
`tests.bench.quality`, and each way of cleaning is applied to the same masks. Numbers are the mean
change of J and of F over clips, with its standard error, and the worst change of a clip's J.

Prints a table, then one line of JSON; writes `cleaning.json` beside this file.
"""

import argparse
import json
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track as track_progress
from rich.table import Table

from pvtt_flow.core import rle
from pvtt_flow.core.cleaning import CleanParams, cleaned
from pvtt_flow.evaluate.measures import contour_accuracy, region_similarity
from pvtt_flow.training.quality.clips import Recipe, Tracked, render_numbered, track_clips
from pvtt_flow.training.segmenter.model import CONFIG, WEIGHTS
from pvtt_flow.types import Masklet
from tests.bench.machine import describe

OUTPUT = Path(__file__).with_name("cleaning.json")
WAYS = {
    "as tracked": CleanParams(),
    "holes to 0.02": CleanParams(fill_holes=0.02),
    "holes to 0.2": CleanParams(fill_holes=0.2),
    "pieces from 0.05": CleanParams(min_piece=0.05),
    "pieces from 0.3": CleanParams(min_piece=0.3),
    "largest piece": CleanParams(min_piece=1),
    "closed by 2 px": CleanParams(close_px=2),
    "opened by 2 px": CleanParams(open_px=2),
    "1 frame each side": CleanParams(smooth_frames=1),
    "2 frames each side": CleanParams(smooth_frames=2),
    "pieces from 0.05, holes to 0.02": CleanParams(min_piece=0.05, fill_holes=0.02),
}


def measure(clip: Tracked, recipe: Recipe) -> NDArray[np.float64]:
    """Return J and F of a clip for each way, (W, 2)."""
    rendered = render_numbered(recipe, int(clip.masklet.video_id.rpartition("_")[2]))
    truth = rendered.labels == rendered.target + 1
    rows = []
    for params in WAYS.values():
        masks = decoded(cleaned(clip.masklet, params))
        j, f = region_similarity(masks, truth), contour_accuracy(masks, truth)
        rows.append((j[1:-1].mean(), f[1:-1].mean()))
    return np.array(rows)


def decoded(masklet: Masklet) -> NDArray[np.bool_]:
    """Return the masks of a masklet, (T, H, W)."""
    size = masklet.height_px, masklet.width_px
    return np.stack(
        [
            np.zeros(size, bool) if f.rle is None else rle.decode(f.rle, *size)
            for f in masklet.frames
        ]
    )


class _Measure:
    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe

    def __call__(self, clip: Tracked) -> NDArray[np.float64]:
        return measure(clip, self.recipe)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("training_work"))
    parser.add_argument("--clips", type=int, default=120)
    parser.add_argument("--processes", type=int, default=2)
    args = parser.parse_args()
    recipe = Recipe(args.work, "test", WEIGHTS, CONFIG)
    clips = track_clips(recipe, args.clips, processes=args.processes)
    with get_context("spawn").Pool(args.processes) as pool:
        made = pool.imap(_Measure(recipe), clips)
        numbers = np.stack(list(track_progress(made, total=args.clips)))
    changes = numbers - numbers[:, :1]
    table = Table("cleaning", "J", "F", "worst J", title="change, mean over clips")
    ways: dict[str, dict[str, Any]] = {}
    for way, name in enumerate(WAYS):
        mean = changes[:, way].mean(0)
        error = changes[:, way].std(0, ddof=1) / np.sqrt(len(changes))
        worst = float(changes[:, way, 0].min())
        ways[name] = {
            "j": float(mean[0]), "j_error": float(error[0]),
            "f": float(mean[1]), "f_error": float(error[1]), "worst_j": worst,
        }  # fmt: skip
        cells = [f"{m:+.4f} ± {e:.4f}" for m, e in zip(mean, error, strict=True)]
        table.add_row(name, *cells, f"{worst:+.3f}")
    Console().print(table)
    tracked = numbers[:, 0].mean(0)
    summary = {"clips": len(numbers), "j": float(tracked[0]), "f": float(tracked[1])}
    result = {**describe("tests.bench.cleaning"), **summary, "changes": ways}
    OUTPUT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps({**summary, "changes": ways}))


if __name__ == "__main__":
    main()
