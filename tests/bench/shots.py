"""The benchmark of shot detection: `python -m tests.bench.shots [--videos N] [--seed N]`.

Videos with known cuts are put together from clips of the project's own renderer and, where `--data`
(by default `shared/data` beside the repository) is there, from real single-shot videos; they are
encoded as H.264 and scanned as a run does it, with its default settings.

    hard      cuts from one clip to another
    dissolve  of 6 to 30 frames, both clips moving on
    fade      through black: 5 to 15 frames down, up to 10 of black, as many up
    pan       a camera that rests, sets in at once and moves by 2 to 15 % of the picture a frame,
              with motion blur: every cut is wrong
    single    the real single-shot videos as they are: every cut is wrong

A transition is found when a shot begins in it, or at most 3 frames from it. Also: how long a scan
takes, beside decoding alone. Prints a table, then one line of JSON; writes `shots.json` beside this
file.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from pvtt_flow.core.shots import ShotParams, partition
from pvtt_flow.training.render.clip import random_clip
from pvtt_flow.video.encode import write_mp4
from pvtt_flow.video.probe import probe
from pvtt_flow.video.read import read_frames
from pvtt_flow.video.scan import scan_video
from tests.bench.machine import describe

OUTPUT = Path(__file__).with_name("shots.json")
DATA = Path(__file__).parents[3] / "shared" / "data"
SINGLE_SHOTS = (
    "02_cups.mp4", "04_coffee.mp4", "opencv_box.mp4", "intel_bottle-detection.mp4",
    "ta_test-sample2.mp4", "codec/decord_flipping_a_pancake.mkv", "codec/imageio_cockatoo.mp4",
    "codec/am_sample_with_increasing_timestamps_320w_240h_5s.mp4",
)  # fmt: skip
_SIZE_PX = 320, 180
_NUM_RENDERED, _RENDERED_FRAMES = 24, 60
_MAX_REAL_FRAMES = 200
_CLIPS_A_VIDEO = 8
_FPS = 25
_SLACK_FRAMES = 3

Picture = NDArray[np.uint8]
Rng = np.random.Generator
Transition = tuple[int, int]
"""From its first frame to the first that is all new; the same for a hard cut."""
Joined = tuple[list[Picture], Transition]
Join = Callable[[list[Picture], list[Picture], Rng], Joined]


@dataclass(frozen=True, slots=True)
class Scores:
    """Detected transitions of one kind."""

    videos: int
    frames: int
    transitions: int
    found: int
    wrong: int
    """Cuts that are in no transition."""
    precision: float
    recall: float
    f1: float
    late_frames: float
    """Median of how long after the transition's end the new shot begins."""


def main() -> None:
    """Measures every kind."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.shots")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--videos", type=int, default=12, help="of each kind")
    # With 0 the thresholds were chosen.
    parser.add_argument("--seed", type=int, default=1, help="other clips, cuts and pans")
    options = parser.parse_args()
    machine, rng = describe("tests.bench.shots"), np.random.default_rng(options.seed)
    single = [p for name in SINGLE_SHOTS if (p := options.data / "videos" / name).is_file()]
    clips = [_rendered(_NUM_RENDERED * options.seed + nth) for nth in range(_NUM_RENDERED)]
    clips += [_real(path) for path in single]
    with TemporaryDirectory(prefix="bench-") as folder:
        path = Path(folder) / "video.mp4"
        scores = {
            kind: _scored(_made(path, make, clips, rng, options.videos))
            for kind, make in {"hard": _hard, "dissolve": _dissolve, "fade": _fade}.items()
        }
        scores["pan"] = _scored(_panned(path, clips, rng, options.videos * 4))
    scores["single"] = _scored((path, []) for path in single)
    costs = {path.name: _cost(path) for path in single[:4]}
    _show(scores, costs)
    record = {
        "machine": machine,
        "seed": options.seed,
        "clips": {"rendered": _NUM_RENDERED, "real": len(single)},
        "kinds": {kind: asdict(score) for kind, score in scores.items()},
        "cost": costs,
    }
    OUTPUT.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps({kind: round(score.f1, 3) for kind, score in scores.items()}))


def _rendered(seed: int) -> list[Picture]:
    frames = random_clip(9000 + seed, _RENDERED_FRAMES, area_px=_SIZE_PX[0] * _SIZE_PX[1]).frames
    return _forth_and_back([_sized(rgb) for rgb in frames])


def _real(path: Path) -> list[Picture]:
    with path.open("rb") as file:
        frames = read_frames(file, stop_frame=_MAX_REAL_FRAMES)
        return _forth_and_back([_sized(frame.rgb) for frame in frames])


def _forth_and_back(frames: list[Picture]) -> list[Picture]:
    while len(frames) < 2 * _RENDERED_FRAMES:
        frames = frames + frames[-2:0:-1]
    return frames


def _sized(rgb: Picture) -> Picture:
    return np.asarray(cv2.resize(rgb, _SIZE_PX, interpolation=cv2.INTER_AREA), np.uint8)


def _hard(video: list[Picture], clip: list[Picture], rng: Rng) -> Joined:
    return video + clip, (len(video), len(video))


def _dissolve(video: list[Picture], clip: list[Picture], rng: Rng) -> Joined:
    num_mixed = int(rng.integers(6, 31))
    return _mixed(video, clip, num_mixed), (len(video) - num_mixed, len(video))


def _fade(video: list[Picture], clip: list[Picture], rng: Rng) -> Joined:
    num_mixed, num_black = int(rng.integers(5, 16)), int(rng.integers(0, 11))
    black = [np.zeros_like(clip[0])] * (2 * num_mixed + num_black)
    dark = _mixed(video, black, num_mixed)
    return _mixed(dark, clip, num_mixed), (len(video) - num_mixed, len(dark))


def _mixed(before: list[Picture], after: list[Picture], num_mixed: int) -> list[Picture]:
    shares = [(i + 1) / (num_mixed + 1) for i in range(num_mixed)]
    pairs = zip(before[-num_mixed:], after[:num_mixed], shares, strict=True)
    mixed = [((1 - a) * one + a * other).astype(np.uint8) for one, other, a in pairs]
    return before[:-num_mixed] + mixed + after[num_mixed:]


def _made(
    path: Path, join: Join, clips: Sequence[list[Picture]], rng: Rng, num_videos: int
) -> Iterator[tuple[Path, list[Transition]]]:
    for _ in range(num_videos):
        order = rng.permutation(len(clips))[:_CLIPS_A_VIDEO]
        video: list[Picture] = []
        transitions: list[Transition] = []
        for number in order:
            length = int(rng.integers(75, 116))
            start = int(rng.integers(0, len(clips[number]) - length + 1))
            clip = clips[number][start : start + length]
            if not video:
                video = list(clip)
                continue
            video, transition = join(video, list(clip), rng)
            transitions.append(transition)
        write_mp4(path, video, Fraction(_FPS))
        yield path, transitions


def _panned(
    path: Path, clips: Sequence[list[Picture]], rng: Rng, num_videos: int
) -> Iterator[tuple[Path, list[Transition]]]:
    for _ in range(num_videos):
        clip = clips[int(rng.integers(len(clips)))]
        write_mp4(path, list(_pan(clip[int(rng.integers(len(clip)))], rng)), Fraction(_FPS))
        yield path, []


def _pan(place: Picture, rng: Rng) -> Iterator[Picture]:
    """Over a picture that goes on as its own mirror image."""
    width_px, height_px = _SIZE_PX
    large = cv2.resize(place, None, fx=1.6, fy=1.6, interpolation=cv2.INTER_CUBIC)
    canvas = np.hstack([large, large[:, ::-1]] * 6)[height_px // 4 :][:height_px]
    speed_px, at_px = rng.uniform(0.02, 0.15) * width_px, 0.0
    for t in range(60):
        moving = 15 <= t < 45 and at_px + 2 * speed_px + width_px < canvas.shape[1]
        step_px = speed_px if moving else 0.0
        # The shutter is open half of the time.
        exposed = [at_px + step_px * k / 16 for k in range(8)] if moving else [at_px]
        seen = [canvas[:, int(x) : int(x) + width_px].astype(np.float32) for x in exposed]
        yield np.mean(seen, axis=0).astype(np.uint8)
        at_px += step_px


def _scored(videos: Iterator[tuple[Path, list[Transition]]]) -> Scores:
    num_videos = num_frames = num_found = num_wrong = 0
    transitions: list[Transition] = []
    late: list[int] = []
    for path, expected in videos:
        starts, length = _starts(path)
        near = {
            (start, stop): [c for c in starts if start - _SLACK_FRAMES <= c <= stop + _SLACK_FRAMES]
            for start, stop in expected
        }
        late += [hits[-1] - stop for (_, stop), hits in near.items() if hits]
        num_found += sum(bool(hits) for hits in near.values())
        num_wrong += len(set(starts) - {c for hits in near.values() for c in hits})
        transitions += expected
        num_videos, num_frames = num_videos + 1, num_frames + length
    precision = num_found / (num_found + num_wrong) if num_found + num_wrong else 1.0
    recall = num_found / len(transitions) if transitions else 1.0
    return Scores(
        num_videos, num_frames, len(transitions), num_found, num_wrong, precision, recall,
        2 * precision * recall / (precision + recall) if precision + recall else 0.0,
        median(late) if late else 0.0,
    )  # fmt: skip


def _starts(path: Path) -> tuple[list[int], int]:
    """First frames of all shots but the first, and the number of frames."""
    with path.open("rb") as file:
        video = probe(file, size_bytes=path.stat().st_size)
        found = scan_video(file, video=video)
    shots = partition(found.cuts, found.times_ns, found.end_ns, ShotParams())
    return [start for start, _ in shots[1:]], len(found.times_ns)


def _cost(path: Path) -> dict[str, float]:
    """CPU milliseconds a frame, the best of three: decoding alone, and with looking for cuts."""
    cost: dict[str, float] = {}
    with path.open("rb") as file:
        video = probe(file, size_bytes=path.stat().st_size)
        for name, detect_cuts in (("decode_ms", False), ("survey_ms", True)):
            took = []
            for _ in range(3):
                started = time.process_time()
                num_frames = len(scan_video(file, video=video, detect_cuts=detect_cuts).times_ns)
                took.append(1000 * (time.process_time() - started) / num_frames)
            cost[name] = round(min(took), 3)
    return cost | {"width_px": video.width_px, "height_px": video.height_px}


def _show(scores: dict[str, Scores], costs: dict[str, dict[str, float]]) -> None:
    table = Table("kind", "transitions", "found", "wrong", "F1", "late, frames")
    for kind, s in scores.items():
        counts = str(s.transitions), str(s.found), str(s.wrong)
        table.add_row(kind, *counts, f"{s.f1:.3f}", f"{s.late_frames:.0f}")
    Console().print(table)
    for name, cost in costs.items():
        Console().print(name, cost)


if __name__ == "__main__":
    main()
