import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvtt_flow.core.prompts import DetectParams, choose_products, merge_prompts, prompts_within
from pvtt_flow.types import Detections, Prompt


def seen(*found: tuple[tuple[float, ...], float, str]) -> Detections:
    return Detections(
        boxes_xyxy=np.array([f[0] for f in found], np.float32).reshape(-1, 4),
        scores=np.array([f[1] for f in found], np.float32),
        labels=tuple(f[2] for f in found),
    )


SMALL_CENTRAL = ((45, 45, 55, 55), 0.5, "cup")
LARGE_LEFT = ((0, 10, 40, 90), 0.4, "bottle")
SURE_CORNER = ((80, 80, 100, 100), 0.9, "cup")


def choose(detections: Detections, **params: object) -> tuple[Prompt, ...]:
    return choose_products(
        detections,
        frame_index=7,
        width_px=100,
        height_px=100,
        params=DetectParams.model_validate(params),
    )


@pytest.mark.parametrize(
    ("rule", "best"),
    [("score", SURE_CORNER), ("area", LARGE_LEFT), ("centrality", SMALL_CENTRAL)],
)
def test_what_makes_a_product_better(rule: str, best: tuple[tuple[float, ...], float, str]) -> None:
    (prompt,) = choose(seen(SMALL_CENTRAL, LARGE_LEFT, SURE_CORNER), choose=rule)
    assert prompt.box_xyxy == best[0]
    assert (prompt.object_id, prompt.frame_index, prompt.origin) == (0, 7, "detector")
    assert prompt.score == pytest.approx(best[1])


def test_only_wanted_classes_and_sure_enough() -> None:
    found = choose(
        seen(SMALL_CENTRAL, LARGE_LEFT, SURE_CORNER),
        classes=("cup",),
        min_score=0.6,
        max_products=9,
    )
    assert [p.box_xyxy for p in found] == [SURE_CORNER[0]]


def test_two_boxes_of_one_product_are_one() -> None:
    twice = seen(((10, 10, 50, 50), 0.8, "box"), ((11, 10, 51, 50), 0.9, "box"))
    assert len(choose(twice, max_products=5)) == 1
    assert len(choose(twice, max_products=5, max_iou=1.0)) == 2


def test_boxes_are_cut_to_the_picture_and_specks_dropped() -> None:
    found = choose(seen(((-9, -9, 50, 130), 0.8, "a"), ((0, 0, 2, 2), 0.9, "a")), max_products=5)
    assert [p.box_xyxy for p in found] == [(0, 0, 50, 100)]


def test_no_product_is_no_prompt() -> None:
    assert choose(seen()) == ()


@given(st.lists(st.floats(0, 1, width=32), max_size=12), st.integers(1, 12))
def test_ids_count_from_the_best(scores: list[float], max_products: int) -> None:
    apart = [((8.0 * i, 0, 8.0 * i + 7, 7), s, "x") for i, s in enumerate(scores)]
    found = choose(seen(*apart), max_products=max_products, min_score=0.0)
    assert [p.object_id for p in found] == list(range(min(len(scores), max_products)))
    assert [p.score for p in found] == sorted((p.score or 0 for p in found), reverse=True)


def test_a_manifest_prompt_overrides_the_detected_one() -> None:
    given_one = Prompt(object_id=1, frame_index=0, points_xy=((3, 4),), point_labels=(1,),
                       origin="manifest")  # fmt: skip
    detected = choose(seen(SMALL_CENTRAL, SURE_CORNER), max_products=2)
    merged = merge_prompts((given_one,), detected)
    assert [(p.object_id, p.origin) for p in merged] == [(1, "manifest"), (0, "detector")]


def test_prompts_of_a_shot() -> None:
    def at(object_id: int, frame_index: int, *, correction: bool = False) -> Prompt:
        return Prompt(
            object_id=object_id, frame_index=frame_index, box_xyxy=(0, 0, 1, 1),
            correction=correction,
        )  # fmt: skip

    first, fixed = at(0, 3), at(0, 9, correction=True)
    later, again = at(0, 30, correction=True), at(0, 25, correction=True)
    prompts = (first, fixed, later, again)
    assert prompts_within(prompts, 0, 10) == (first, fixed)
    assert prompts_within(prompts, 3, 9) == (first,)
    assert prompts_within(prompts, 10, 20) == ()
    # After a cut nothing has been tracked that could be corrected: the earliest one starts anew.
    assert prompts_within(prompts, 20, 40) == (later, at(0, 25))
