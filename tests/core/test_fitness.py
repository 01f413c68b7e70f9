"""Verdicts on masklets for profiles: right numbers, smallest remedies, the best windows."""

import math
from collections.abc import Callable
from dataclasses import replace
from statistics import fmean, pstdev

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pvtt_flow.core.fitness import Fitness, best_window, judge_fitness
from pvtt_flow.core.fitness_measures import place_frames
from pvtt_flow.core.fitness_rows import FitnessRows
from pvtt_flow.core.profile import FitnessLimits, Profile
from pvtt_flow.core.retiming import retime
from pvtt_flow.core.timeline import SamplingParams, sample
from pvtt_flow.export.profiles import load_profile
from pvtt_flow.types import MaskletFrame

Box = tuple[int, int, int, int]
SIZE = (832, 480)
STILL: Box = (300, 200, 400, 300)
VACE = load_profile("vace")
ORDER = ("unfit", "fixable", "fit")
COLUMNS = (
    "frame_index", "pts_ns", "is_present", "box_xyxy", "largest_fragment_box_xyxy", "area_px",
)  # fmt: skip


def rows(
    count: int,
    box: Callable[[int], Box | None] = lambda _: STILL,
    *,
    fps: float = 16,
    size: tuple[int, int] = SIZE,
    first_frame: int = 0,
    largest: Callable[[int], Box | None] = lambda _: None,
) -> FitnessRows:
    """Frames of a masklet whose mask is the whole box, or reaches to its corners with specks."""
    frames = []
    for number in range(count):
        where = box(number)
        x0, y0, x1, y1 = where or (0, 0, 0, 0)
        frames.append(
            MaskletFrame(
                frame_index=first_frame + number,
                pts_ns=round(number * 1e9 / fps),
                rle="not read" if where else None,
                box_xyxy=where,
                largest_fragment_box_xyxy=largest(number) if where else None,
                area_px=(x1 - x0) * (y1 - y0),
                object_score=1.0,
                predicted_iou=0.9,
                fragments=1,
            )
        )
    return FitnessRows.of(frames, width_px=size[0], height_px=size[1])


def only(frames: FitnessRows, taken: slice | list[int]) -> FitnessRows:
    return replace(frames, **{name: getattr(frames, name)[taken] for name in COLUMNS})


def profile(base: Profile = VACE, **changes: object) -> Profile:
    return Profile.model_validate(base.model_dump() | changes)


def texts(judged: Fitness) -> list[str]:
    return [reason.text for reason in judged.reasons]


def test_a_masklet_that_is_fit_is_taken_from_its_first_frame_on() -> None:
    judged = judge_fitness(VACE, rows(100, first_frame=7))
    assert (judged.verdict, judged.reasons, judged.remedy) == ("fit", (), "")
    assert (judged.window, judged.window_frames, judged.num_frames) == ((7, 88), 81, 100)
    # Grown by 20 px on each side.
    assert judged.measures["coverage_mean"] == pytest.approx(140 * 140 / (832 * 480))
    assert judged.measures["product_px"] == 100
    assert judged.measures["cutouts"] == 100


def test_frames_are_counted_at_the_rate_of_the_profile() -> None:
    for count, fps, frames in ((72, 24, 48), (37, 24, 25), (150, 30, 80), (80, 16, 80)):
        judged = judge_fitness(VACE, rows(count, fps=fps))
        assert texts(judged) == [f"needs 81 frames at 16 fps, has {frames}"]
        assert judged.num_frames == frames
    judged = judge_fitness(load_profile("diffueraser"), rows(15, fps=24))
    assert (judged.verdict, texts(judged)) == ("unfit", ["needs 22 frames, has 15"])


@pytest.mark.parametrize("source_fps", [17, 20, 24, 25, 30000 / 1001, 60])
def test_a_clip_that_was_sampled_at_the_rate_of_the_profile_has_all_its_frames(
    source_fps: float,
) -> None:
    every = rows(round(10 * source_fps), fps=source_fps)
    params = SamplingParams(target_fps=16)
    taken = list(sample(range(len(every.pts_ns)), params, pts_ns=lambda at: int(every.pts_ns[at])))
    sampled = only(every, taken)
    assert len(taken) == 160
    for found in (every, sampled):
        judged = judge_fitness(VACE, found)
        assert (judged.verdict, judged.window_frames) == ("fit", 81)
        assert 159 <= judged.num_frames <= 161
    assert judged.num_frames == 160
    assert judged.window == (0, taken[80] + 1)


def test_every_reason_has_its_number() -> None:
    limits = {"presence": 0.9, "coverage_mean": 0.1, "coverage_max": 0.3, "center_y_spread": 0.04}
    limits |= {"border_contact": 0.5, "product_px": 400, "cutouts": 3}
    moving = rows(81, lambda n: None if n < 27 else (0, 0, 400, 300 if n < 54 else 180))
    judged = judge_fitness(profile(fitness=limits), moving)
    assert judged.verdict == "unfit"
    spread = 100 * 30 / 480
    assert texts(judged) == [
        "frames with the product must be at least 90 %, is 66.7 %",
        "mean coverage by the box must be at most 10 %, is 27.3 %",
        "largest coverage by the box must be at most 30 %, is 33.7 %",
        f"spread of the box's center in y must be at most 4 %, is {spread:.3g} %",
        "frames on which the border cuts it must be at most 50 %, is 100 %",
        "size of the product must be at least 400 px, is 307 px",
        "frames for cut-outs must be at least 3, is 0",
    ]
    assert {reason.rule for reason in judged.reasons} == {
        "presence_low", "coverage_mean_high", "coverage_max_high", "center_y_spread_high",
        "border_contact_high", "product_small", "cutouts_few",
    }  # fmt: skip


def test_a_later_window_is_a_remedy() -> None:
    judged = judge_fitness(VACE, rows(130, lambda n: (0, 0, 800, 450) if n < 40 else STILL))
    assert (judged.verdict, judged.window) == ("fixable", (40, 121))
    assert judged.remedy == "take frames 40 to 120"
    assert [reason.rule for reason in judged.reasons] == [
        "coverage_mean_high", "coverage_max_high",
    ]  # fmt: skip


def test_a_window_of_a_faster_source_is_in_frames_of_the_source() -> None:
    judged = judge_fitness(VACE, rows(300, lambda n: None if n < 100 else STILL, fps=32))
    assert (judged.verdict, judged.num_frames) == ("fit", 150)
    judged = judge_fitness(
        profile(fitness={"presence": 1.0}), rows(300, lambda n: None if n < 100 else STILL, fps=32)
    )
    assert (judged.verdict, judged.window, judged.window_frames) == ("fixable", (100, 261), 81)


def test_a_static_box_is_a_remedy_for_motion() -> None:
    judged = judge_fitness(VACE, rows(81, lambda n: (300, 100 + n, 400, 200 + n)))
    assert (judged.verdict, judged.window) == ("fixable", (0, 81))
    assert judged.static_box_xyxy == (300, 100, 400, 280)
    assert judged.remedy == "take frames 0 to 80 with the box [300, 100, 400, 280] on all of them"
    # Around a large product it covers too much.
    judged = judge_fitness(VACE, rows(81, lambda n: (200, 20 + 2 * n, 600, 170 + 2 * n)))
    assert (judged.verdict, judged.static_box_xyxy) == ("unfit", None)


def test_another_rate_is_a_remedy_for_too_few_frames() -> None:
    # Slower than the profile: each of its frames is real only at its own rate.
    judged = judge_fitness(VACE, rows(100, fps=12))
    assert (judged.verdict, judged.window) == ("fixable", (0, 81))
    assert judged.fps == pytest.approx(12)
    assert judged.remedy == "take frames 0 to 80 at 12 fps instead of 16"
    # Sampled at 10 of 15 fps, they are one or two frames apart.
    judged = judge_fitness(VACE, only(rows(150, fps=15), [n for n in range(150) if n % 3 != 1]))
    assert (judged.verdict, judged.window, judged.window_frames) == ("fixable", (0, 121), 81)
    assert judged.fps == pytest.approx(10, rel=0.01)
    # Short, but with enough frames of its own: as fast as it must be, and no faster.
    judged = judge_fitness(VACE, rows(100, fps=30))
    assert (judged.verdict, judged.window, judged.window_frames) == ("fixable", (0, 100), 81)
    assert judged.fps == pytest.approx(80 / 3.3)
    # More than twice as fast or slow would be another motion.
    assert judge_fitness(VACE, rows(100, fps=7)).verdict == "unfit"
    assert judge_fitness(VACE, rows(100, fps=60)).verdict == "unfit"


def with_specks(number: int) -> Box:
    """A box around the still product and a speck, which is elsewhere on each frame."""
    return (300, 200 - 100 * (number % 2), 400, 300 + 40 * (number % 3))


def test_specks_are_no_motion_of_the_product() -> None:
    judged = judge_fitness(VACE, rows(90, with_specks, largest=lambda _: STILL))
    assert judged.verdict == "fit"
    assert judged.measures["center_y_spread"] == pytest.approx(0)
    # They are in the hole.
    assert judged.measures["coverage_max"] == pytest.approx(140 * 320 / (832 * 480))
    # Rows of before have one box for both.
    judged = judge_fitness(VACE, rows(90, with_specks))
    centers = [(box[1] + box[3]) / 2 / 480 for box in map(with_specks, range(81))]
    assert judged.measures["center_y_spread"] == pytest.approx(pstdev(centers))
    assert [reason.rule for reason in judged.reasons] == ["center_y_spread_high"]


def test_motion_is_that_of_the_largest_fragment() -> None:
    moving = rows(
        81, lambda _: (300, 100, 400, 300), largest=lambda n: (300, 100 + n, 400, 200 + n)
    )
    judged = judge_fitness(VACE, moving)
    centers = [(150 + n) / 480 for n in range(81)]
    assert judged.measures["center_y_spread"] == pytest.approx(pstdev(centers))
    # A static box is the hole, so it is around all of the mask.
    assert (judged.verdict, judged.static_box_xyxy) == ("fixable", (300, 100, 400, 300))


def test_specks_at_the_border_do_not_cut_the_product() -> None:
    limits = {"border_contact": 0.5, "cutouts": 60}
    touching = rows(81, lambda n: (0, 200, 400, 300) if n < 41 else STILL, largest=lambda _: STILL)
    judged = judge_fitness(profile(fitness=limits), touching)
    assert judged.measures["border_contact"] == 0
    # A cut-out has them.
    assert texts(judged) == ["frames for cut-outs must be at least 60, is 40"]


@pytest.mark.parametrize(
    "box", [(0, 9, 400, 300), (300, 0, 400, 300), (300, 9, 832, 300), (300, 9, 400, 480)]
)
def test_a_product_that_the_border_of_the_video_cuts(box: Box) -> None:
    measures = judge_fitness(VACE, rows(81, lambda _: box)).measures
    assert (measures["border_contact"], measures["cutouts"]) == (1, 0)


def test_a_picture_that_has_only_specks_of_the_product() -> None:
    void = profile(load_profile("void"), fps=None, fitness={"center_y_spread": 0.5})
    # The crop leaves rows 289.9 to 564.1.
    largest = (100, 20, 200, 120)
    reaching = rows(
        85, lambda n: (100, 20, 200, 300 + n), largest=lambda _: largest, size=(480, 854)
    )
    measures = judge_fitness(void, reaching).measures
    assert (measures["presence"], measures["border_contact"]) == (1, 1)
    top = (854 - 384 / 1.4) / 2
    centers = [(300 + n - top) / 2 * 1.4 / 384 for n in range(85)]
    assert measures["center_y_spread"] == pytest.approx(pstdev(centers))


def test_absence() -> None:
    judged = judge_fitness(VACE, rows(81, lambda _: None))
    assert (judged.verdict, [reason.rule for reason in judged.reasons]) == (
        "unfit", ["never_visible"],
    )  # fmt: skip
    videoanydoor = load_profile("videoanydoor")
    judged = judge_fitness(videoanydoor, rows(200, lambda n: None if n in (30, 150) else STILL))
    assert (judged.verdict, judged.window) == ("fixable", (31, 112))
    judged = judge_fitness(videoanydoor, rows(160, lambda n: None if n == 80 else STILL))
    assert (judged.verdict, judged.window) == ("unfit", None)


def test_a_product_outside_of_the_crop_is_not_visible() -> None:
    void = profile(load_profile("void"), fps=None)
    beside = rows(90, lambda _: (400, 10, 500, 60), size=(480, 854))
    assert [reason.rule for reason in judge_fitness(void, beside).reasons] == ["never_visible"]
    # VACE turns its picture.
    assert judge_fitness(VACE, beside).verdict == "fit"


def test_a_product_that_the_crop_cuts_is_no_cut_out() -> None:
    void = profile(load_profile("void"), fps=None, fitness={"border_contact": 0.1, "cutouts": 1})
    cut = rows(90, lambda _: (100, 200, 200, 320), size=(480, 854))
    assert {r.rule for r in judge_fitness(void, cut).reasons} == {
        "border_contact_high", "cutouts_few",
    }  # fmt: skip


def test_no_rows() -> None:
    for base in (VACE, load_profile("propainter")):
        judged = judge_fitness(base, rows(0))
        assert (judged.verdict, judged.num_frames) == ("unfit", 0)


def test_blocks_of_a_grid() -> None:
    growth = {"shape": "ellipse", "radius_px": 10, "blocks_px": 32}
    judged = judge_fitness(profile(growth=growth), rows(81))
    # [290, 410] x [190, 310] touches blocks [288, 416] x [160, 320].
    assert judged.measures["coverage_mean"] == pytest.approx(128 * 160 / (832 * 480))


# What the engine computes for all windows at once, from its definitions, for one window.


def plain_excess(limits: FitnessLimits, frames: FitnessRows, at: list[int]) -> float:
    present = [frames.box_xyxy[i] for i in at if frames.is_present[i]]
    if not present:
        return math.inf
    size = np.array([*SIZE, *SIZE])
    grown = [np.clip(box + np.array([-20, -20, 20, 20]), 0, size) / size for box in present]
    covers = [(box[2] - box[0]) * (box[3] - box[1]) for box in grown]
    ratios = []
    if limits.presence is not None:
        ratios.append(limits.presence * len(at) / len(present))
    if limits.coverage_mean is not None:
        ratios.append(fmean(covers) / limits.coverage_mean)
    if limits.coverage_max is not None:
        ratios.append(max(covers) / limits.coverage_max)
    if limits.center_y_spread is not None:
        ratios.append(pstdev((box[1] + box[3]) / 2 for box in grown) / limits.center_y_spread)
    return max([0.0, *ratios])


boxes = st.none() | st.builds(
    lambda x, y, w, h: (x, y, min(832, x + w), min(480, y + h)),
    st.integers(0, 800), st.integers(0, 450), st.integers(8, 400), st.integers(8, 300),
)  # fmt: skip
fractions = st.none() | st.floats(0.01, 1)
limits_of = st.builds(
    FitnessLimits,
    presence=fractions,
    coverage_mean=fractions,
    coverage_max=fractions,
    center_y_spread=fractions,
)


@given(
    found=st.lists(boxes, min_size=1, max_size=25),
    limits=limits_of,
    num_frames=st.integers(1, 8),
    fps=st.sampled_from([None, 10.0, 16.0]),
)
def test_the_best_window_is_the_best_of_all(
    found: list[Box | None], limits: FitnessLimits, num_frames: int, fps: float | None
) -> None:
    frames = rows(len(found), lambda n: found[n], fps=24)
    placed = place_frames(profile(fitness=limits.model_dump()), frames)
    best = best_window(placed, num_frames, fps=fps)
    windows = [
        (start + retime(frames.pts_ns[start:], fps))[:num_frames].tolist()
        for start in range(len(found))
    ]
    scores = [plain_excess(limits, frames, at) for at in windows if len(at) == num_frames]
    if best is None:
        assert scores == []
    else:
        assert best.excess == pytest.approx(min(scores))
        assert plain_excess(limits, frames, best.positions.tolist()) == pytest.approx(min(scores))


@given(
    found=st.lists(boxes, min_size=6, max_size=25),
    limits=limits_of,
    fps=st.sampled_from([None, 12.0, 16.0, 30.0]),
)
@settings(max_examples=60)
def test_the_window_of_a_remedy_is_fit_by_itself(
    found: list[Box | None], limits: FitnessLimits, fps: float | None
) -> None:
    frames = rows(len(found), lambda n: found[n], fps=24)
    asked = profile(frames={"least": 4, "most": 4}, fps=fps, fitness=limits.model_dump())
    judged = judge_fitness(asked, frames)
    if judged.window is None:
        assert judged.verdict == "unfit"
        return
    if judged.static_box_xyxy:
        still = (np.array(judged.static_box_xyxy) * frames.is_present[:, None]).astype(np.float64)
        frames = replace(frames, box_xyxy=still, largest_fragment_box_xyxy=still)
    alone = only(frames, slice(*judged.window))
    again = judge_fitness(profile(asked, fps=judged.fps), alone)
    assert (again.verdict, again.window) == ("fit", judged.window)
    assert again.window_frames == judged.window_frames


@given(
    found=st.lists(boxes, min_size=4, max_size=20),
    limits=limits_of,
    name=st.sampled_from(["presence", "coverage_mean", "coverage_max", "center_y_spread"]),
    factor=st.floats(1, 3),
)
@settings(max_examples=60)
def test_a_looser_limit_never_makes_a_verdict_worse(
    found: list[Box | None], limits: FitnessLimits, name: str, factor: float
) -> None:
    limit = getattr(limits, name)
    looser = None
    if limit is not None:
        looser = limit / factor if name == "presence" else min(1.0, limit * factor)
    frames = rows(len(found), lambda n: found[n])
    tight, loose = (
        judge_fitness(
            profile(frames={"least": 4, "most": 12}, fitness=limits.model_dump() | {name: value}),
            frames,
        ).verdict
        for value in (limit, looser)
    )
    assert ORDER.index(loose) >= ORDER.index(tight)
