"""The renderer: the same clip from the same seed, and truth that agrees with itself."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pvtt_flow.training.corpus import SEEDS, seed_of, squeeze
from pvtt_flow.training.render.clip import RenderedClip, random_clip
from pvtt_flow.training.stills import letterbox, stills_of

SMALL_AREA_PX = 72 * 72
quick = settings(
    max_examples=8, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)


def small_clip(seed: int, num_frames: int = 3, **choices: object) -> RenderedClip:
    return random_clip(seed, num_frames, area_px=SMALL_AREA_PX, **choices)  # type: ignore[arg-type]


def test_a_seed_fixes_the_clip() -> None:
    first, second = small_clip(7), small_clip(7)
    assert np.array_equal(first.frames, second.frames)
    assert np.array_equal(first.labels, second.labels)
    assert not np.array_equal(first.frames, small_clip(8).frames)


@quick
@given(seed=st.integers(0, 10_000))
def test_boxes_hold_their_masks_tightly(seed: int) -> None:
    clip = small_clip(seed)
    for at in np.ndindex(*clip.masks.shape[:2]):
        mask, box = clip.masks[at], clip.boxes_xyxy[at]
        if not mask.any():
            assert np.isnan(box).all()
            continue
        left, top, right, low = box.astype(int)
        assert mask[top:low, left:right].sum() == mask.sum()
        edges = mask[top, :], mask[low - 1, :], mask[:, left], mask[:, right - 1]
        assert all(edge.any() for edge in edges)


@quick
@given(seed=st.integers(0, 10_000), num_products=st.integers(0, 4))
def test_masks_of_different_products_are_disjoint(seed: int, num_products: int) -> None:
    clip = small_clip(seed, 2, num_products=num_products, event="none")
    assert clip.num_products == num_products
    assert clip.masks.shape == (2, num_products, *clip.frames.shape[1:3])
    assert clip.masks.sum(1).max(initial=0) <= 1


def test_what_leaves_is_gone_and_comes_back() -> None:
    clip = small_clip(11, 24, num_products=1, event="leave")
    seen = clip.masks[:, clip.target].any((1, 2))
    assert seen[0]
    assert seen[-1]
    assert not seen.all()


def test_a_look_alike_is_one_more_product() -> None:
    assert small_clip(5, 1, num_products=1, event="twin").num_products == 2


def test_a_hand_hides_part_of_what_it_holds() -> None:
    hidden = [
        small_clip(seed, 1, num_products=1, event="hold").masks.sum()
        < small_clip(seed, 1, num_products=1, event="none").masks.sum()
        for seed in range(6)
    ]
    assert sum(hidden) >= 4


def test_splits_share_no_seed() -> None:
    lengths, most = (8, 16, 24), 500_000
    spans = sorted(
        (seed_of(split, length, 0), seed_of(split, length, most))
        for split in SEEDS
        for length in lengths
    )
    assert all(stop < start for (_, stop), (start, _) in pairwise(spans))


def test_squeezing_keeps_products_where_they_are() -> None:
    clip = small_clip(3, 1, num_products=1, event="none")
    frames, labels = squeeze(clip, 64)
    assert frames.shape == (1, 64, 64, 3)
    assert labels.shape == (1, 64, 64)
    assert (labels > 0).mean() == pytest.approx((clip.labels > 0).mean(), abs=0.02)


def test_letterboxed_boxes_scale_with_the_picture() -> None:
    clip = small_clip(3, 1, num_products=1, event="none")
    square, boxes = next(stills_of(clip))
    _, scale = letterbox(clip.frames[0])
    assert square.shape == (256, 256, 3)
    assert np.allclose(boxes, clip.boxes_xyxy[0] * scale)
