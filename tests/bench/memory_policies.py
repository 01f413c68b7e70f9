"""Quality of each `tracker.memory`: `python -m tests.bench.memory_policies [--annotated FOLDER]`.

The embedded model follows the true box of the first frame through held-out renderings of the
project, most with an event on the way, and through annotated sequences if given. J&F is the mean
of region similarity and contour accuracy over all frames but the prompted one; errors are standard
errors over sequences.

Prints a table, then one line of JSON; writes `memory_policies.json` beside this file.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import count, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from pvtt_flow.evaluate.measures import contour_accuracy, region_similarity
from pvtt_flow.models.sam2.memory_policies import POLICIES
from pvtt_flow.models.sam2.threaded_tracker import ThreadedTracker
from pvtt_flow.models.tracker import MemoryRule, TrackerParams
from pvtt_flow.training.corpus import seed_of
from pvtt_flow.training.evaluate_segmenter import (
    MIN_FIRST_SHARE,
    TrueClip,
    annotated_sequences,
    prompt_of,
    track,
)
from pvtt_flow.training.render.clip import random_clip
from pvtt_flow.training.render.scene import Event
from pvtt_flow.training.segmenter.model import CONFIG, WEIGHTS
from tests.bench.machine import describe
from tests.bench.prompt_frame import Mean

OUTPUT = Path(__file__).with_name("memory_policies.json")
EVENTS: Sequence[Event] = ("none", "cover", "hold", "leave", "twin")
# More than SAM 2 remembers, so that policies differ.
NUM_FRAMES = 48
_MAX_CONCURRENT_SHOTS = 4
Scores = Mapping[str, float]
"""J&F by name of the sequence."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Sequence with the true masks of one object."""

    kind: str
    name: str
    frames: NDArray[np.uint8]
    masks: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Score:
    """Score of one policy on the sequences of one kind."""

    sequences: int
    j_and_f: Mean
    gain: Mean
    """Over `sam2`, sequence by sequence."""


def main() -> None:
    """Measures every policy on every sequence."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.memory_policies")
    parser.add_argument("--clips", type=int, default=24, help="renderings of each kind")
    parser.add_argument("--annotated", type=Path, help="folder of annotated sequences")
    options = parser.parse_args()
    machine = describe("tests.bench.memory_policies")
    # A folder's place is of no use on another machine.
    machine["command"] = str(machine["command"]).replace(str(options.annotated), "FOLDER")
    samples = list(_samples(options.clips, options.annotated))
    by_policy = {rule: _measure(rule, samples) for rule in POLICIES}
    kinds = {
        kind: {rule: _score(by_policy, rule, samples, kind) for rule in POLICIES}
        for kind in dict.fromkeys(sample.kind for sample in samples)
    }
    _show(kinds)
    record = {
        "machine": machine,
        "frames_per_clip": NUM_FRAMES,
        "first_seed": seed_of("held_out", NUM_FRAMES, 0),
        "kinds": {k: {rule: asdict(s) for rule, s in of.items()} for k, of in kinds.items()},
        "sequences": {
            sample.name: {rule: round(scores[sample.name], 4) for rule, scores in by_policy.items()}
            for sample in samples
        },
    }
    OUTPUT.write_text(json.dumps(record, indent=1) + "\n")
    means = {
        k: {rule: round(s.j_and_f.mean, 3) for rule, s in of.items()} for k, of in kinds.items()
    }
    print(json.dumps(means))


def _samples(num_clips: int, annotated: Path | None) -> Iterator[Sample]:
    for event in EVENTS:
        yield from islice(_rendered(event), num_clips)
    if annotated is not None:
        for clip in annotated_sequences(annotated):
            yield Sample("annotated", clip.name, clip.frames, clip.masks)


def _rendered(event: Event) -> Iterator[Sample]:
    """Render clips whose target can be seen on the first frame."""
    for index in count():
        clip = random_clip(seed_of("held_out", NUM_FRAMES, index), NUM_FRAMES, event=event)
        masks = clip.labels == clip.target + 1
        if masks[0].mean() >= MIN_FIRST_SHARE:
            yield Sample(event, f"{event} {index}", clip.frames, masks)


def _measure(rule: MemoryRule, samples: Sequence[Sample]) -> Scores:
    params = TrackerParams(
        device="cpu", memory=rule, max_concurrent_shots=_MAX_CONCURRENT_SHOTS, direction="forward"
    )
    tracker = ThreadedTracker(WEIGHTS, CONFIG, params)

    def measure(sample: Sample) -> float:
        clip = TrueClip(sample.name, sample.frames, sample.masks)
        masks = track(tracker, clip, prompt_of("box", clip.masks[0]))[1:]
        truth = sample.masks[1:]
        j, f = region_similarity(masks, truth), contour_accuracy(masks, truth)
        return float((j.mean() + f.mean()) / 2)

    with ThreadPoolExecutor(_MAX_CONCURRENT_SHOTS) as pool:
        scores = list(pool.map(measure, samples))
    tracker.close()
    return {sample.name: score for sample, score in zip(samples, scores, strict=True)}


def _score(
    by_policy: Mapping[MemoryRule, Scores], rule: MemoryRule, samples: Sequence[Sample], kind: str
) -> Score:
    names = [sample.name for sample in samples if sample.kind == kind]
    own, usual = by_policy[rule], by_policy["sam2"]
    return Score(
        sequences=len(names),
        j_and_f=Mean.of([own[name] for name in names]),
        gain=Mean.of([own[name] - usual[name] for name in names]),
    )


def _show(kinds: Mapping[str, Mapping[MemoryRule, Score]]) -> None:
    table = Table("sequences", "number", "tracker.memory", "J&F", "gain over sam2")
    for kind, of in kinds.items():
        for rule, score in of.items():
            table.add_row(kind, str(score.sequences), rule, str(score.j_and_f), str(score.gain))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
