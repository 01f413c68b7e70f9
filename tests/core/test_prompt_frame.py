import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvtt_flow.core.products import DetectParams
from pvtt_flow.core.prompt_frame import candidates, first_sharp, most_confident
from pvtt_flow.core.timeline import FrameTime
from pvtt_flow.types import Prompt

CHOICES = ("first", "sharp", "confident")


def times(num_frames: int, *, start: int = 0, step: int = 1) -> list[FrameTime]:
    return [FrameTime(start + step * i, 40_000_000 * (start + step * i)) for i in range(num_frames)]


def chosen(prompt_frame: str, num_frames: int, num_candidates: int = 4) -> list[int]:
    params = DetectParams.model_validate(
        {"prompt_frame": prompt_frame, "num_candidates": num_candidates}
    )
    return [time.frame_index for time in candidates(times(num_frames), params)]


@pytest.mark.parametrize(
    ("prompt_frame", "num_frames", "expected"),
    [
        ("first", 16, [0]),
        ("sharp", 16, [0, 2, 5, 15]),
        ("confident", 16, [0, 4, 8, 12]),
        ("sharp", 1, [0]),
        ("confident", 1, [0]),
        ("sharp", 3, [0, 1, 2]),
        ("confident", 3, [0, 1, 2]),
        ("sharp", 1000, [0, 9, 99, 999]),
    ],
)
def test_the_candidates(prompt_frame: str, num_frames: int, expected: list[int]) -> None:
    assert chosen(prompt_frame, num_frames) == expected


@given(
    st.sampled_from(CHOICES), st.integers(1, 400), st.integers(2, 32), st.integers(0, 9),
    st.integers(1, 7),
)  # fmt: skip
def test_candidates_are_processed_frames_and_the_first_is_one(
    prompt_frame: str, num_frames: int, num_candidates: int, start: int, step: int
) -> None:
    params = DetectParams.model_validate(
        {"prompt_frame": prompt_frame, "num_candidates": num_candidates}
    )
    processed = times(num_frames, start=start, step=step)
    found = candidates(processed, params)
    assert found[0] == processed[0]
    assert list(found) == sorted(set(found))
    assert set(found) <= set(processed)
    assert len(found) <= num_candidates
    if prompt_frame == "confident":
        assert len(found) == min(num_candidates, num_frames)


@pytest.mark.parametrize(
    ("sharpness", "place"),
    [
        ([100.0, 110.0, 90.0], 0),
        ([50.0, 100.0], 0),
        ([49.9, 100.0, 120.0], 1),
        ([0.0, 20.0, 60.0, 100.0], 2),
        ([0.0, 0.0], 0),
        ([7.0], 0),
    ],
)
def test_the_first_sharp_one_is_half_as_sharp_as_the_sharpest(
    sharpness: list[float], place: int
) -> None:
    assert first_sharp(sharpness) == place


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=32), st.sampled_from([0.25, 1, 8]))
def test_nothing_before_the_first_sharp_one_is(levels: list[int], gain: float) -> None:
    sharpness = [gain * level for level in levels]
    place = first_sharp(sharpness)
    assert sharpness[place] >= 0.5 * max(sharpness)
    assert all(value < 0.5 * max(sharpness) for value in sharpness[:place])
    assert place == first_sharp([float(level) for level in levels]), "only ratios count"


def look(frame_index: int, *scores: float) -> tuple[Prompt, ...]:
    return tuple(
        Prompt(object_id=i, frame_index=frame_index, box_xyxy=(0, 0, 9, 9), score=score)
        for i, score in enumerate(scores)
    )


@pytest.mark.parametrize(
    ("looks", "frame_index"),
    [
        ([look(0, 0.5), look(5, 0.8), look(9, 0.7)], 5),
        ([look(0, 0.5), look(5, 0.5)], 0),
        ([(), look(5, 0.3), ()], 5),
        # Two products, each less sure than the single one.
        ([look(0, 0.95), look(5, 0.6, 0.5)], 5),
    ],
)
def test_the_most_confident(looks: list[tuple[Prompt, ...]], frame_index: int) -> None:
    found = most_confident(looks)
    assert {p.frame_index for p in found} == {frame_index}
    assert found in looks


def test_no_candidate_shows_a_product() -> None:
    assert most_confident([(), ()]) == ()


def test_a_manifests_prompts_count_for_no_frame() -> None:
    given_one = Prompt(object_id=7, frame_index=2, box_xyxy=(0, 0, 9, 9), origin="manifest")
    found = most_confident([(given_one,), (given_one, *look(5, 0.4))])
    assert [(p.object_id, p.frame_index) for p in found] == [(7, 2), (0, 5)]
