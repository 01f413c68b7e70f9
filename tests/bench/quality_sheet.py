"""Picture of right and wrong verdicts: `python -m tests.bench.quality_sheet --work FOLDER`.

Draws the best and the worst masklet of each verdict among clips of the split `test`, which nothing
was fitted to, into `.assets/verdicts.jpg`.
"""

import argparse
from dataclasses import asdict, replace
from pathlib import Path

from PIL import Image
from rich.progress import track as track_progress

from pvtt_flow.core.qc import QcThresholds, judge
from pvtt_flow.review.contact_sheet import SheetRow, contact_sheet, evenly_spaced
from pvtt_flow.training.evaluate_segmenter import NUM_FRAMES
from pvtt_flow.training.quality.clips import Recipe, Tracked, render_numbered, track_clips
from pvtt_flow.training.segmenter.model import CONFIG, WEIGHTS
from pvtt_flow.types import Frame, VerdictName

OUTPUT = Path(__file__).parents[2] / ".assets" / "verdicts.jpg"
_FRAMES_PER_ROW = 6
_FPS = 25
# Wide enough for text that can be read, and a small file.
_WIDTH_PX = 1200


def judged(clip: Tracked) -> Tracked:
    """Return the clip with its verdict."""
    found = judge(clip.measurements, QcThresholds(), clip.masklet.tracker_hash)
    return replace(clip, masklet=replace(clip.masklet, **asdict(found)))


def examples(clips: list[Tracked], verdict: VerdictName) -> list[Tracked]:
    """Return the best and the worst clip of a verdict by their true J."""
    of_it = sorted((c for c in clips if c.masklet.verdict == verdict), key=_mean_j)
    return [of_it[-1], of_it[0]]


def _mean_j(clip: Tracked) -> float:
    return float(clip.j[1:-1].mean())


def row(clip: Tracked, recipe: Recipe) -> SheetRow:
    """Return a row of the sheet, with the frames rendered again."""
    rgb = render_numbered(recipe, int(clip.masklet.video_id.rpartition("_")[2])).frames
    frames = [Frame(i, round(i * 1e9 / _FPS), rgb[i]) for i in range(NUM_FRAMES)]
    label = f"true J {_mean_j(clip):.2f}"
    return SheetRow(
        video_id=clip.masklet.video_id,
        frames=evenly_spaced(frames, _FRAMES_PER_ROW),
        masklets=(replace(clip.masklet, label=label),),
    )


def main() -> None:
    """Draw the picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("training_work"))
    parser.add_argument("--clips", type=int, default=100)
    parser.add_argument("--processes", type=int, default=2)
    args = parser.parse_args()
    recipe = Recipe(args.work, "test", WEIGHTS, CONFIG)
    made = track_clips(recipe, args.clips, processes=args.processes)
    clips = [judged(clip) for clip in track_progress(made, total=args.clips)]
    verdicts: tuple[VerdictName, ...] = ("accept", "review", "reject")
    rows = [row(clip, recipe) for verdict in verdicts for clip in examples(clips, verdict)]
    title = f"The best and the worst of each verdict, of {len(clips)} unseen clips"
    page = Image.fromarray(contact_sheet(title, rows))
    height_px = round(page.height * _WIDTH_PX / page.width)
    page.resize((_WIDTH_PX, height_px), Image.Resampling.LANCZOS).save(OUTPUT, quality=82)
    print(f"{OUTPUT.name}: {OUTPUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
