"""Renderer: a seed gives one clip, and masks, labels and boxes agree."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pvtt_flow.training.corpus import SEEDS, seed_of, squeeze
from pvtt_flow.training.render.clip import RenderedClip, random_clip
from pvtt_flow.training.render.scene import Event
from pvtt_flow.training.stills import letterbox, stills_of

SMALL_AREA_PX = 72 * 72
quick = settings(max_examples=8, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


def small_clip(
    seed: int, num_frames: int = 3, *, num_products: int | None = None, event: Event | None = None
) -> RenderedClip:
    return random_clip(
        seed, num_frames, num_products=num_products, event=event, area_px=SMALL_AREA_PX
    )


def test_a_seed_gives_the_same_clip_twice() -> None:
    first, second = small_clip(7), small_clip(7)
    assert np.array_equal(first.frames, second.frames)
    assert np.array_equal(first.labels, second.labels)
    assert not np.array_equal(first.frames, small_clip(8).frames)


@quick
@given(seed=st.integers(0, 10_000))
def test_boxes_enclose_their_masks_tightly(seed: int) -> None:
    clip = small_clip(seed)
    for index in np.ndindex(*clip.masks.shape[:2]):
        mask, box = clip.masks[index], clip.boxes_xyxy[index]
        if not mask.any():
            assert np.isnan(box).all()
            continue
        left, top, right, bottom = box.astype(int)
        assert mask[top:bottom, left:right].sum() == mask.sum()
        edges = mask[top, :], mask[bottom - 1, :], mask[:, left], mask[:, right - 1]
        assert all(edge.any() for edge in edges)


@quick
@given(seed=st.integers(0, 10_000), num_products=st.integers(0, 4))
def test_masks_of_different_products_are_disjoint(seed: int, num_products: int) -> None:
    clip = small_clip(seed, 2, num_products=num_products, event="none")
    assert clip.num_products == num_products
    assert clip.masks.shape == (2, num_products, *clip.frames.shape[1:3])
    assert clip.masks.sum(1).max(initial=0) <= 1


def test_a_leaving_product_is_visible_at_both_ends_but_not_throughout() -> None:
    clip = small_clip(11, 24, num_products=1, event="leave")
    is_visible = np.asarray(clip.masks[:, clip.target].any((1, 2)))
    assert is_visible[0]
    assert is_visible[-1]
    assert not is_visible.all()


def test_event_twin_adds_a_second_product() -> None:
    assert small_clip(5, 1, num_products=1, event="twin").num_products == 2


def test_a_hand_hides_part_of_the_product_that_it_holds() -> None:
    hides_pixels = [
        small_clip(seed, 1, num_products=1, event="hold").masks.sum()
        < small_clip(seed, 1, num_products=1, event="none").masks.sum()
        for seed in range(6)
    ]
    assert sum(hides_pixels) >= 4


def test_splits_and_lengths_share_no_seed() -> None:
    lengths, num_clips = (8, 16, 24), 500_000
    seed_ranges = sorted(
        (seed_of(split, length, 0), seed_of(split, length, num_clips))
        for split in SEEDS
        for length in lengths
    )
    assert all(stop < start for (_, stop), (start, _) in pairwise(seed_ranges))


def test_squeezing_keeps_the_share_of_product_pixels() -> None:
    clip = small_clip(3, 1, num_products=1, event="none")
    frames, labels = squeeze(clip, 64)
    assert frames.shape == (1, 64, 64, 3)
    assert labels.shape == (1, 64, 64)
    assert (labels > 0).mean() == pytest.approx((clip.labels > 0).mean(), abs=0.02)


def test_letterboxing_scales_boxes_with_the_image() -> None:
    clip = small_clip(3, 1, num_products=1, event="none")
    square, boxes = next(stills_of(clip))
    _, scale = letterbox(clip.frames[0])
    assert square.shape == (256, 256, 3)
    assert np.allclose(boxes, clip.boxes_xyxy[0] * scale)
