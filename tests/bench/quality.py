"""Worth of verdicts and of each measurement: `python -m tests.bench.quality --work FOLDER`.

The embedded model follows the product of a box, with the errors of a detector, through clips of the
project's renderer. Their meshes and seeds are those of the split `test`: nothing was trained,
fitted or tuned on them. A frame is bad if its mask has a J below 0.75 with the true one, a masklet
if its mean J is below that. The first frame, which is prompted, and the last one do not count, as
in DAVIS; frames without a mask do not either.

The number of a measurement or a model is its AUROC: the chance that a bad mask has a worse value
than a good one, where 0.5 is chance. For `auroc_other_tracker`, masks are those of trackers that
no model was fitted to, and their scores are not used: the embedded model of an earlier commit, at
128 px, and SAM for each frame alone; the lower number counts. Errors are the standard deviation
over clips drawn again with replacement. Precision is the share of accepted masklets that are good,
coverage the share that is accepted. AURC is the area under the risk-coverage curve: the share of
bad masklets among the best ones, averaged over how many are taken.

Prints tables, then one line of JSON; writes `quality.json` beside this file.
"""

import argparse
import json
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track as track_progress
from rich.table import Table
from scipy.stats import mannwhitneyu

from pvtt_flow.core import quality
from pvtt_flow.core.qc import QcThresholds, judge
from pvtt_flow.core.quality import GOOD_J
from pvtt_flow.training.evaluate_segmenter import annotated_sequences
from pvtt_flow.training.quality.clips import Recipe, Tracked, track_clips, track_sequence
from pvtt_flow.training.segmenter.model import CONFIG, WEIGHTS
from pvtt_flow.types import Appearance, MaskConfidence, MaskletFrame, Measurements
from tests.bench.machine import describe

OUTPUT = Path(__file__).with_name("quality.json")
ROOT = Path(__file__).parents[2]
_SAMPLES = 500
_OTHER_WEIGHTS = "pvtt_flow/models/embedded/sam2_embedded"
Values = NDArray[np.float64]

_CONFIDENCE = tuple(f.name for f in fields(MaskConfidence))
_APPEARANCE = tuple(f.name for f in fields(Appearance))
FRAME_SIGNALS = (
    *("object_score", "predicted_iou", "previous_iou", "compactness", "holes", "fragments"),
    *_CONFIDENCE,
    *_APPEARANCE,
)
MASKLET_SIGNALS = tuple(f.name for f in fields(Measurements) if f.name != "num_frames")
# Of all others, less is worse.
_MORE_IS_WORSE = {
    "holes", "fragments", "mask_entropy", "visibility_flips", "area_jump_max", "box_jump_max",
    "border_contact", "fragments_mean", "holes_mean", "mask_entropy_mean", "color_distance",
    "color_distance_mean", "color_distance_p95",
}  # fmt: skip


def score_of(measured: object, name: str) -> float | None:
    """Return a measurement with the sign by which less is worse; None if it has no value."""
    value: float | None = getattr(measured, name, None)
    if value is None:
        return None
    return -value if name in _MORE_IS_WORSE else value


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


def aurc(scores: Values, is_good: NDArray[np.bool_]) -> float:
    """Return the mean share of bad ones among the best 1, 2, … N.

    From Geifman and El-Yaniv, Selective Classification for Deep Neural Networks, 2017.
    """
    bad = ~is_good[np.argsort(-scores, kind="stable")]
    return float((np.cumsum(bad) / np.arange(1, len(bad) + 1)).mean())


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


Statistic = Callable[[Values, NDArray[np.bool_]], float]


def with_error(statistic: Statistic, clips: Sequence[Scored]) -> Value:
    """Return a statistic of the clips' masks, with its deviation over clips drawn again."""

    def of(numbers: Iterable[int]) -> float:
        chosen = [clips[n] for n in numbers]
        return statistic(
            np.concatenate([c.scores for c in chosen]), np.concatenate([c.is_good for c in chosen])
        )

    chance, n = np.random.default_rng(0), len(clips)
    again = [of(chance.integers(0, n, n)) for _ in range(_SAMPLES)]
    return Value(of(range(n)), float(np.nanstd(again)))


def frame_signal(name: str, clips: Sequence[Tracked]) -> list[Scored]:
    """Return a signal of each frame, and whether the frame is good."""
    return [
        Scored.of(
            (score_of(_part_of(frame, name), name), j >= GOOD_J)
            for frame, j in ((clip.masklet.frames[t], float(clip.j[t])) for t in clip.counted)
        )
        for clip in clips
    ]


def _part_of(frame: MaskletFrame, name: str) -> object:
    if name in _CONFIDENCE:
        return frame.confidence
    return frame.appearance if name in _APPEARANCE else frame


def frame_probability(clips: Sequence[Tracked], name: str = "good") -> list[Scored]:
    """Return a probability of each frame, and whether it is good, or of an object that is gone."""
    scored = []
    for clip in clips:
        found = quality.of_frames(clip.masklet)
        answers = clip.j >= GOOD_J if name == "good" else ~clip.is_there
        scored.append(Scored.of((getattr(found[t], name), bool(answers[t])) for t in clip.counted))
    return scored


def masklet_signal(name: str, clips: Sequence[Tracked]) -> list[Scored]:
    """Return a measurement of each masklet, and whether the masklet is good."""
    return [Scored.of([(score_of(clip.measurements, name), clip.is_good)]) for clip in clips]


def masklet_probability(clips: Sequence[Tracked], name: str = "good") -> list[Scored]:
    """Return a probability of each masklet, and whether it is good, or shows a gone object."""
    return [
        Scored.of([(getattr(_probabilities(clip), name), _answer(clip, name))]) for clip in clips
    ]


def _probabilities(clip: Tracked) -> quality.Probabilities:
    return quality.of_masklet(clip.measurements, clip.masklet.tracker_hash)


def _answer(clip: Tracked, name: str) -> bool:
    return clip.is_good if name == "good" else clip.shows_a_gone_object


def verdicts(clips: Sequence[Tracked]) -> dict[str, Value]:
    """Return how often verdicts are right, and how often they are given."""

    def given(verdict: str) -> list[Scored]:
        return [Scored.of([(float(_verdict(clip) == verdict), clip.is_good)]) for clip in clips]

    def share_good(is_given: Values, good: NDArray[np.bool_]) -> float:
        return float(good[is_given > 0].mean()) if is_given.any() else np.nan

    def share_given(is_given: Values, _: NDArray[np.bool_]) -> float:
        return float(is_given.mean())

    return {
        "accept_precision": with_error(share_good, given("accept")),
        "accept_coverage": with_error(share_given, given("accept")),
        "good_of_rejected": with_error(share_good, given("reject")),
        "reject_coverage": with_error(share_given, given("reject")),
    }


def _verdict(clip: Tracked) -> str:
    return judge(clip.measurements, QcThresholds(), clip.masklet.tracker_hash).verdict


def calibration_error(clips: Sequence[Tracked]) -> float:
    """Return the expected calibration error of masklets in ten bins.

    From Guo et al., On Calibration of Modern Neural Networks, 2017.
    """
    scored = masklet_probability(clips)
    p, good = (np.concatenate([getattr(s, n) for s in scored]) for n in ("scores", "is_good"))
    bins = np.minimum((p * 10).astype(int), 9)
    parts = [(np.mean(bins == b), p[bins == b], good[bins == b]) for b in np.unique(bins)]
    return float(sum(share * abs(p_.mean() - good_.mean()) for share, p_, good_ in parts))


def without_scores(clips: Sequence[Tracked]) -> list[Tracked]:
    """Return the clips as those of a tracker that the models do not know."""
    return [replace(c, masklet=replace(c.masklet, tracker_hash="another")) for c in clips]


def earlier_weights(commit: str, folder: Path) -> tuple[Path, Path]:
    """Return weights and config of the embedded model of a commit."""
    for suffix in ("pt", "yaml"):
        shown = subprocess.run(
            ["git", "show", f"{commit}:{_OTHER_WEIGHTS}.{suffix}"],
            cwd=ROOT, capture_output=True, check=True,
        )  # fmt: skip
        (folder / f"other.{suffix}").write_bytes(shown.stdout)
    return folder / "other.pt", folder / "other.yaml"


def _aurocs(signals: dict[str, list[Scored]]) -> dict[str, Value]:
    """Return the AUROC of each signal that these clips have."""
    return {
        name: with_error(auroc, scored)
        for name, scored in signals.items()
        if any(len(each.scores) for each in scored)
    }


def _print_table(title: str, values: dict[str, Value]) -> None:
    table = Table("signal", "AUROC", title=title)
    for name, value in sorted(values.items(), key=lambda row: -row[1].value):
        table.add_row(name, f"{value.value:.3f} ± {value.standard_error:.3f}")
    Console().print(table)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("training_work"))
    parser.add_argument("--clips", type=int, default=250)
    parser.add_argument("--other-clips", type=int, default=120)
    parser.add_argument("--other-commit", default="54b27b9")
    parser.add_argument("--annotated", type=Path, help="real sequences: NAME/frames, NAME/masks")
    parser.add_argument("--processes", type=int, default=2)
    args = parser.parse_args()
    shipped = Recipe(args.work, "test", WEIGHTS, CONFIG)

    def tracked(recipe: Recipe, count: int) -> list[Tracked]:
        made = track_clips(recipe, count, processes=args.processes)
        return list(track_progress(made, total=count))

    clips = tracked(shipped, args.clips)
    with tempfile.TemporaryDirectory() as folder:
        weights, config = earlier_weights(args.other_commit, Path(folder))
        earlier = Recipe(args.work, "test", weights, config)
        alone = replace(shipped, method="sam_per_frame")
        others = {
            "earlier weights": without_scores(tracked(earlier, args.other_clips)),
            "SAM for each frame": without_scores(tracked(alone, args.other_clips)),
        }
    real = (
        [track_sequence(shipped, clip) for clip in annotated_sequences(args.annotated)]
        if args.annotated
        else []
    )
    looks_only = without_scores(clips)
    frames = {
        "model with scores": with_error(auroc, frame_probability(clips)),
        "model of looks": with_error(auroc, frame_probability(looks_only)),
        **_aurocs({name: frame_signal(name, clips) for name in FRAME_SIGNALS}),
    }
    masklets = {
        "model with scores": with_error(auroc, masklet_probability(clips)),
        "model of looks": with_error(auroc, masklet_probability(looks_only)),
        **_aurocs({name: masklet_signal(name, clips) for name in MASKLET_SIGNALS}),
    }
    gone = {
        f"{kind}, {title}": with_error(auroc, probability(rows, "gone"))
        for kind, probability in (("frames", frame_probability), ("masklets", masklet_probability))
        for title, rows in (("model with scores", clips), ("model of looks", looks_only))
    }
    other = {
        f"{kind}, {name}": with_error(auroc, probability(rows))
        for kind, probability in (("frames", frame_probability), ("masklets", masklet_probability))
        for name, rows in others.items()
    }
    _print_table(f"frames with J below {GOOD_J}", frames)
    _print_table(f"masklets with J below {GOOD_J}", masklets)
    _print_table("masks shown of objects that are gone", gone)
    _print_table("masks of other trackers, without scores", other)
    summary = {
        "clips": len(clips),
        "frames": sum(len(list(clip.counted)) for clip in clips),
        "bad_frame_share": _bad_share(frame_probability(clips)),
        "bad_masklet_share": _bad_share(masklet_probability(clips)),
        "auroc_frames": asdict(frames["model with scores"]),
        "auroc_masklets": asdict(masklets["model with scores"]),
        "auroc_other_tracker": asdict(
            min((v for k, v in other.items() if k.startswith("frames")), key=lambda v: v.value)
        ),
        **{name: asdict(value) for name, value in verdicts(clips).items()},
        "aurc_masklets": asdict(with_error(aurc, masklet_probability(clips))),
        "calibration_error": calibration_error(clips),
    }
    result = {
        **describe("tests.bench.quality"),
        **summary,
        "auroc_of_frames": {name: asdict(value) for name, value in frames.items()},
        "auroc_of_masklets": {name: asdict(value) for name, value in masklets.items()},
        "auroc_of_gone": {name: asdict(value) for name, value in gone.items()},
        "auroc_of_other_trackers": {name: asdict(value) for name, value in other.items()},
        "verdicts_without_scores": {
            name: asdict(value) for name, value in verdicts(looks_only).items()
        },
        "real_sequences": {
            clip.masklet.video_id: {
                "j": float(clip.j[1:-1].mean()),
                "good_probability": _probabilities(clip).good,
                "verdict": _verdict(clip),
            }
            for clip in real
        },
        "auroc_of_real_frames": auroc_of(frame_probability(real)) if real else None,
    }
    OUTPUT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(summary))


def auroc_of(scored: Sequence[Scored]) -> float:
    """Return the AUROC of all masks together, without an error."""
    return auroc(
        np.concatenate([s.scores for s in scored]), np.concatenate([s.is_good for s in scored])
    )


def _bad_share(scored: Sequence[Scored]) -> float:
    return float(1 - np.concatenate([s.is_good for s in scored]).mean())


if __name__ == "__main__":
    main()
