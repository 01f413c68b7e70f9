import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pvtt_flow.core.products import DetectParams, choose_products
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


def choose(
    detections: Detections, *, persistence: NDArray[np.float64] | None = None, **params: object
) -> tuple[Prompt, ...]:
    return choose_products(
        detections,
        frame_index=7,
        width_px=100,
        height_px=100,
        params=DetectParams.model_validate(params),
        persistence=persistence,
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


# Scores are multiplied with the place: from 1 at the center down to 1/2 in a corner.
CENTER_HALF = ((25, 25, 75, 75), 0.5, "cup")
TOP_LEFT = ((0, 0, 50, 50), 0.6, "cup")
SPECK = ((45, 45, 55, 55), 0.8, "cup")
WHOLE = ((0, 0, 100, 100), 0.9, "cup")


@pytest.mark.parametrize(
    ("found", "best"),
    [
        # .5 against .6 * .75
        ((CENTER_HALF, TOP_LEFT), CENTER_HALF),
        # 1 % of the picture, half of the least size: .4
        ((CENTER_HALF, SPECK), CENTER_HALF),
        # All of the picture is a background.
        ((TOP_LEFT, WHOLE), TOP_LEFT),
    ],
)
def test_a_product_is_in_the_middle_and_of_a_usual_size(
    found: tuple[tuple[tuple[float, ...], float, str], ...],
    best: tuple[tuple[float, ...], float, str],
) -> None:
    (prompt,) = choose(seen(*found), choose="product")
    assert prompt.box_xyxy == best[0]
    assert prompt.score == pytest.approx(best[1])


def test_a_product_is_seen_on_most_frames() -> None:
    here, often = seen(CENTER_HALF, TOP_LEFT), np.array([0.25, 1.0])
    found = {
        rule: [p.box_xyxy for p in choose(here, choose=rule, persistence=often)]
        for rule in ("product", "centrality")
    }
    # Other rankings do not ask how often.
    assert found == {"product": [TOP_LEFT[0]], "centrality": [CENTER_HALF[0]]}


def test_the_margin_to_the_best_that_is_left_out() -> None:
    three = seen(SMALL_CENTRAL, LARGE_LEFT, SURE_CORNER)
    assert [p.margin for p in choose(three)] == [pytest.approx(1 - 0.5 / 0.9)]
    two = choose(three, max_products=2)
    assert [p.margin for p in two] == [pytest.approx(1 - 0.4 / 0.9), pytest.approx(1 - 0.4 / 0.5)]
    assert [p.margin for p in choose(three, max_products=3)] == [1.0, 1.0, 1.0]
    # A second box of the same product is no other product.
    twice = seen(((10, 10, 50, 50), 0.8, "box"), ((11, 10, 51, 50), 0.9, "box"))
    assert [p.margin for p in choose(twice)] == [1.0]


def test_the_margin_of_nothing() -> None:
    nowhere = seen(((0, 0, 9, 9), 0.0, "cup"), ((50, 50, 59, 59), 0.0, "cup"))
    assert [p.margin for p in choose(nowhere, min_score=0.0)] == [0.0]
