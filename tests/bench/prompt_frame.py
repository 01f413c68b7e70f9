"""The benchmark of the prompt frame: `python -m tests.bench.prompt_frame [--clips N]`.

Held-out clips of the project's own renderer with one product each, half of which begin badly
(`degraded_clips.py`), are encoded as H.264 and go through inspect, detect and propagate with the
embedded pair, once for each `detect.prompt_frame`.

J counts every frame of a shot; a shot without prompts has no masks. Prints a table, then one line
of JSON; writes `prompt_frame.json` beside this file.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from pvtt_flow.core import rle
from pvtt_flow.core.products import DetectParams
from pvtt_flow.core.timeline import EVERY_FRAME
from pvtt_flow.evaluate.measures import region_similarity
from pvtt_flow.models.detector import DetectorParams
from pvtt_flow.models.factory import build_detector, build_tracker
from pvtt_flow.models.tracker import TrackerParams
from pvtt_flow.stages.detect import Detect
from pvtt_flow.stages.propagate import Propagate
from pvtt_flow.storage.streams import open_binary
from pvtt_flow.training.corpus import seed_of
from pvtt_flow.training.evaluate_segmenter import NUM_FRAMES
from pvtt_flow.types import Masklet, ShotRecord
from pvtt_flow.video.limits import DEFAULT_LIMITS
from tests.bench.degraded_clips import KINDS, Masks, Shown, film
from tests.bench.machine import describe

OUTPUT = Path(__file__).with_name("prompt_frame.json")
CHOICES = ("first", "sharp", "confident")
# What configs/quickstart.yaml has for the embedded detector.
_MIN_SCORE = 0.5
_MAX_CONCURRENT_SHOTS = 8


@dataclass(frozen=True, slots=True)
class Ran:
    """A clip after the run."""

    shown: Shown
    work: ShotRecord
    similar: NDArray[np.float64]
    """J of each frame, (T,)."""

    @property
    def j(self) -> float:
        """Mean J of the whole clip."""
        return float(self.similar.mean())


@dataclass(frozen=True, slots=True)
class Mean:
    """Mean of one number for each clip, with its standard error."""

    mean: float
    standard_error: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Mean":
        """Return the mean of at least one value."""
        return cls(float(np.mean(values)), float(np.std(values) / len(values) ** 0.5))

    def __str__(self) -> str:
        return f"{self.mean:.3f} ± {self.standard_error:.3f}"


@dataclass(frozen=True, slots=True)
class Score:
    """Score of one choice on clips of one kind."""

    clips: int
    prompted: int
    """Clips in which a product was found."""
    moved: int
    """Clips that were prompted on another frame than the first."""
    j: Mean
    gain: Mean
    """Over `first`, clip by clip."""
    gain_where_first_found: Mean | None
    """Gain on clips in which `first` was prompted: the value of the prompt's place alone."""
    j_first_frame: Mean | None
    """Mean J of the first frame, the reference region, on clips whose first frame shows the
    product."""


def main() -> None:
    """Measures every choice on every kind."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.prompt_frame")
    parser.add_argument("--clips", type=int, default=150, help="in all, half of them plain")
    options = parser.parse_args()
    machine = describe("tests.bench.prompt_frame")
    with TemporaryDirectory(prefix="bench-") as folder:
        shown = list(film(Path(folder), options.clips))
        done = _processed([one.work for one in shown])
    ran = {
        choice: [_ran(one, work) for one, work in zip(shown, works, strict=True)]
        for choice, works in done.items()
    }
    scores = {
        kind: {choice: _score(kind, ran[choice], ran["first"]) for choice in CHOICES}
        for kind in KINDS
    }
    _show(scores)
    record = {
        "machine": machine,
        "frames_per_clip": NUM_FRAMES,
        "first_seed": seed_of("held_out", NUM_FRAMES, 0),
        "kinds": {k: {c: asdict(s) for c, s in of.items()} for k, of in scores.items()},
    }
    OUTPUT.write_text(json.dumps(record, indent=1) + "\n")
    print(
        json.dumps({k: {c: round(s.j.mean, 3) for c, s in of.items()} for k, of in scores.items()})
    )


def _processed(works: Sequence[ShotRecord]) -> Mapping[str, Sequence[ShotRecord]]:
    """Track the shots with each choice."""
    detector = build_detector(DetectorParams(device="cpu"), None, open_binary)
    tracker = build_tracker(
        TrackerParams(device="cpu", max_concurrent_shots=_MAX_CONCURRENT_SHOTS), None, open_binary
    )
    propagate = Propagate(tracker, EVERY_FRAME, DEFAULT_LIMITS)
    done = {}
    with ThreadPoolExecutor(_MAX_CONCURRENT_SHOTS) as pool:
        for choice in CHOICES:
            params = DetectParams.model_validate({"min_score": _MIN_SCORE, "prompt_frame": choice})
            prompted = Detect(detector, params, EVERY_FRAME, DEFAULT_LIMITS)(works)
            done[choice] = [one for (one,) in pool.map(lambda w: propagate([w]), prompted)]
    return done


def _ran(one: Shown, work: ShotRecord) -> Ran:
    assert work.failure is None, work.failure
    masks = _masks(work.masklets, one.truth.shape)
    return Ran(one, work, region_similarity(masks, one.truth))


def _masks(masklets: Sequence[Masklet], shape: tuple[int, ...]) -> Masks:
    """Decode the masks of the only object, without the padding to an even size."""
    masks = np.zeros(shape, np.bool_)
    for masklet in masklets:
        for t, frame in enumerate(masklet.frames):
            if frame.rle is not None:
                whole = rle.decode(frame.rle, masklet.height_px, masklet.width_px)
                masks[t] = whole[: shape[1], : shape[2]]
    return masks


def _score(kind: str, ran: Sequence[Ran], first: Sequence[Ran]) -> Score:
    pairs = [(r, f) for r, f in zip(ran, first, strict=True) if r.shown.kind == kind]
    prompts = [p for r, _ in pairs for p in r.work.prompts]
    found = [r.j - f.j for r, f in pairs if f.work.prompts]
    begun = [float(r.similar[0]) for r, _ in pairs if r.shown.truth[0].any()]
    return Score(
        clips=len(pairs),
        prompted=len(prompts),
        moved=sum(p.frame_index > 0 for p in prompts),
        j=Mean.of([r.j for r, _ in pairs]),
        gain=Mean.of([r.j - f.j for r, f in pairs]),
        gain_where_first_found=Mean.of(found) if found else None,
        j_first_frame=Mean.of(begun) if begun else None,
    )


def _show(scores: Mapping[str, Mapping[str, Score]]) -> None:
    table = Table("begins", "prompt frame", "clips", "prompted", "moved", "mean J", "gain")
    for heading in ("gain where first found", "J of the first frame"):
        table.add_column(heading)
    for kind, of in scores.items():
        for choice, s in of.items():
            numbers = [str(n) for n in (s.clips, s.prompted, s.moved)]
            means = [str(m or "") for m in (s.j, s.gain, s.gain_where_first_found, s.j_first_frame)]
            table.add_row(kind, choice, *numbers, *means)
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
