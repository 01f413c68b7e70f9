"""Worth of each measurement as a sign of bad masks: `python -m tests.bench.quality --work FOLDER`.

The embedded model follows the true box of the first frame through clips of the project's renderer,
with meshes, skies and seeds that no training saw. A frame is bad if its mask has a J below 0.75
with the true one, a masklet if its mean J is below that. The first frame, which is prompted, and
the last one do not count, as in DAVIS.

The number of a measurement is its AUROC: the chance that a bad mask has a worse value than a good
one, where 0.5 is chance. Frames without a mask do not count. Errors are the standard deviation over
clips drawn again with replacement. `accept` is measured as the share of accepted masklets that are
good.

Prints two tables, then one line of JSON; writes `quality.json` beside this file.
"""

import argparse
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track as track_progress
from rich.table import Table
from scipy.stats import mannwhitneyu

from pvtt_flow.core.qc import QcThresholds, judge, measure
from pvtt_flow.evaluate.measures import region_similarity
from pvtt_flow.models.sam2.threaded_tracker import ThreadedTracker
from pvtt_flow.models.tracker import TrackerParams
from pvtt_flow.stages._masklet_builder import MaskletBuilder
from pvtt_flow.training.corpus import library_of, render_clip
from pvtt_flow.training.evaluate_segmenter import (
    MIN_FIRST_SHARE,
    NUM_FRAMES,
    TrueClip,
    prompt_of,
    prompted_shot,
)
from pvtt_flow.training.segmenter.model import CONFIG, WEIGHTS
from pvtt_flow.types import MaskConfidence, Masklet, MaskletFrame, Measurements, Shot, Video
from tests.bench.machine import describe

OUTPUT = Path(__file__).with_name("quality.json")
GOOD_J = 0.75
_SAMPLES = 500
Values = NDArray[np.float64]

_CONFIDENCE = tuple(f.name for f in fields(MaskConfidence))
FRAME_SIGNALS = (
    *("object_score", "predicted_iou", "previous_iou", "compactness", "holes", "fragments"),
    *_CONFIDENCE,
)
MASKLET_SIGNALS = tuple(f.name for f in fields(Measurements) if f.name != "num_frames")
# Of all others, less is worse.
_MORE_IS_WORSE = {
    "holes", "fragments", "mask_entropy", "visibility_flips", "area_jump_max", "box_jump_max",
    "border_contact", "fragments_mean", "holes_mean", "mask_entropy_mean",
}  # fmt: skip


def score_of(measured: object, name: str) -> float | None:
    """Return a measurement with the sign by which less is worse; None if it has no value."""
    value: float | None = getattr(measured, name, None)
    if value is None:
        return None
    return -value if name in _MORE_IS_WORSE else value


@dataclass(frozen=True, slots=True)
class Tracked:
    """Clip whose true product was tracked."""

    masklet: Masklet
    j: Values
    """J of each frame, (T,)."""

    @property
    def inner(self) -> Iterator[tuple[MaskletFrame, float]]:
        """Yield the frames that count and have a mask, with their J."""
        frames = zip(self.masklet.frames, self.j.tolist(), strict=True)
        for frame, j in list(frames)[1:-1]:
            if frame.rle is not None:
                yield frame, j

    @property
    def is_good(self) -> bool:
        """Return whether the masklet is good."""
        return bool(self.j[1:-1].mean() >= GOOD_J)

    @property
    def measurements(self) -> Measurements:
        """Return what is measured of the masklet without the truth."""
        made = self.masklet
        return measure(made.frames, made.prompts, width_px=made.width_px, height_px=made.height_px)


@dataclass(frozen=True, slots=True)
class Value:
    """Number with its error."""

    value: float
    standard_error: float


def auroc(scores: Values, is_good: NDArray[np.bool_]) -> float:
    """Return the chance that a good one of N has a higher score than a bad one; ties are halves.

    NaN if all are good or all are bad.
    """
    good, bad = scores[is_good], scores[~is_good]
    if not len(good) or not len(bad):
        return float("nan")
    return float(mannwhitneyu(good, bad, method="asymptotic").statistic / (len(good) * len(bad)))


@dataclass(frozen=True, slots=True)
class Scored:
    """Scores of one clip's masks, and whether each is good."""

    scores: Values
    is_good: NDArray[np.bool_]

    @classmethod
    def of(cls, pairs: Iterable[tuple[float | None, bool]]) -> "Scored":
        """Keep the pairs that have a score."""
        known = [(score, good) for score, good in pairs if score is not None]
        return cls(np.array([s for s, _ in known], float), np.array([g for _, g in known], bool))


def with_error(
    statistic: Callable[[Values, NDArray[np.bool_]], float], clips: Sequence[Scored]
) -> Value:
    """Return a statistic of the clips' masks, with its deviation over clips drawn again."""

    def of(numbers: Iterable[int]) -> float:
        chosen = [clips[n] for n in numbers]
        return statistic(
            np.concatenate([c.scores for c in chosen]), np.concatenate([c.is_good for c in chosen])
        )

    chance, n = np.random.default_rng(0), len(clips)
    again = [of(chance.integers(0, n, n)) for _ in range(_SAMPLES)]
    return Value(of(range(n)), float(np.nanstd(again)))


def frame_auroc(name: str, clips: Sequence[Tracked]) -> Value:
    """Return the AUROC of a signal of frames."""
    scored = [
        Scored.of(
            (score_of(frame.confidence if name in _CONFIDENCE else frame, name), j >= GOOD_J)
            for frame, j in clip.inner
        )
        for clip in clips
    ]
    return with_error(auroc, scored)


def masklet_auroc(name: str, clips: Sequence[Tracked]) -> Value:
    """Return the AUROC of a measurement of masklets."""
    scored = [Scored.of([(score_of(clip.measurements, name), clip.is_good)]) for clip in clips]
    return with_error(auroc, scored)


def acceptance(clips: Sequence[Tracked]) -> dict[str, Value]:
    """Return the share of accepted masklets that are good, and of masklets that are accepted."""
    scored = [Scored.of([(float(_is_accepted(clip)), clip.is_good)]) for clip in clips]
    return {
        "accept_precision": with_error(
            lambda accepted, good: float(good[accepted > 0].mean()) if accepted.any() else np.nan,
            scored,
        ),
        "accept_coverage": with_error(lambda accepted, _: float(accepted.mean()), scored),
    }


def _is_accepted(clip: Tracked) -> bool:
    verdict, _ = judge(clip.measurements, QcThresholds())
    return verdict == "accept"


def track(clip: TrueClip) -> Tracked:
    """Track the true box of the first frame, and store it as a run does."""
    torch.set_num_threads(1)
    prompt = prompt_of("box", clip.masks[0])
    tracker = ThreadedTracker(
        WEIGHTS, CONFIG, TrackerParams(device="cpu", direction="forward", max_concurrent_shots=1)
    )
    builder = MaskletBuilder((prompt,))
    masks = []
    for tracked in tracker.track(prompted_shot(clip, prompt)):
        builder.add(tracked)
        masks.append(tracked.objects[0].mask)
    tracker.close()
    (masklet,) = builder.masklets(clip.name, *_facts(clip))
    return Tracked(masklet, region_similarity(np.stack(masks), clip.masks))


def _facts(clip: TrueClip) -> tuple[Video, Shot]:
    num_frames, height_px, width_px, _ = clip.frames.shape
    video = Video(
        container="none",
        codec="none",
        pixel_format="rgb24",
        width_px=width_px,
        height_px=height_px,
        coded_width_px=width_px,
        coded_height_px=height_px,
        rotation_deg=0,
        fps_num=25,
        fps_den=1,
        duration_ns=None,
        num_frames_from_header=None,
    )
    return video, Shot(
        shot_id=f"{clip.name}/0",
        index=0,
        start_frame=0,
        stop_frame=num_frames,
        start_ns=0,
        stop_ns=num_frames,
        times_ns=tuple(range(num_frames)),
    )


@dataclass(frozen=True)
class _Clips:
    """Clips by number, in processes of their own."""

    work: Path

    def __call__(self, index: int) -> Tracked | None:
        """Render and track a clip; None if the first frame hardly shows its product."""
        # Seeds that neither training nor `evaluate` uses.
        library = library_of(self.work / "assets", "calibration")
        rendered = render_clip("calibration", NUM_FRAMES, index, library)
        masks = rendered.labels == rendered.target + 1
        if masks[0].mean() < MIN_FIRST_SHARE:
            return None
        return track(TrueClip(str(index), rendered.frames, masks))


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("training_work"))
    parser.add_argument("--clips", type=int, default=250)
    parser.add_argument("--processes", type=int, default=2)
    args = parser.parse_args()
    with get_context("spawn").Pool(args.processes) as pool:
        # More than half of all clips show their product.
        made = pool.imap(_Clips(args.work), range(2 * args.clips))
        shown = track_progress(islice(filter(None, made), args.clips), total=args.clips)
        clips = list(shown)
    frames = {name: frame_auroc(name, clips) for name in FRAME_SIGNALS}
    masklets = {name: masklet_auroc(name, clips) for name in MASKLET_SIGNALS}
    bad_frames = [j < GOOD_J for clip in clips for _, j in clip.inner]
    summary = {
        "clips": len(clips),
        "frames": len(bad_frames),
        "bad_frame_share": float(np.mean(bad_frames)),
        "bad_masklet_share": float(np.mean([not clip.is_good for clip in clips])),
        **{name: asdict(value) for name, value in acceptance(clips).items()},
    }
    for title, values in (("frames", frames), ("masklets", masklets)):
        table = Table("signal", "AUROC", title=f"{title} with J below {GOOD_J}")
        for name, value in sorted(values.items(), key=lambda row: -row[1].value):
            table.add_row(name, f"{value.value:.3f} ± {value.standard_error:.3f}")
        Console().print(table)
    result = {
        **describe("tests.bench.quality"),
        **summary,
        "auroc_of_frame_signals": {name: asdict(value) for name, value in frames.items()},
        "auroc_of_masklet_signals": {name: asdict(value) for name, value in masklets.items()},
    }
    OUTPUT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
