import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from pvtt_flow.models.baselines.one_pass import most_probable

SHAPE = (3, 4)


def uniform(value: float) -> NDArray[np.float32]:
    return np.full(SHAPE, value, np.float32)


def test_the_background_is_what_no_object_has() -> None:
    # 0.45 is more than the other object's 0.3 and the background's 0.25.
    found = most_probable({7: uniform(0.45), 3: uniform(0.3)})
    assert found[7].mask.all()
    assert not found[3].mask.any()
    assert found[7].object_score > 0 > found[3].object_score


def test_nothing_is_more_probable_than_the_background() -> None:
    found = most_probable({0: uniform(0.3), 1: uniform(0.2)})
    assert not found[0].mask.any()
    assert found[0].object_score == np.log(np.float32(0.3) / np.float32(0.5))


def test_objects_that_are_equally_probable_share_a_pixel() -> None:
    found = most_probable({0: uniform(1), 1: uniform(1)})
    assert found[0].mask.all()
    assert found[1].mask.all()


@given(
    arrays(
        np.float32,
        (3, *SHAPE),
        elements=st.floats(0, 1, width=32, allow_subnormal=False),
    )
)
def test_a_pixel_goes_to_the_argmax(
    shares: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]",
) -> None:
    shares = shares / max(1.0, float(shares.sum(0).max()))
    found = most_probable(dict(enumerate(shares)))
    background = np.clip(1 - shares.sum(0), 1e-6, None)
    for each, own in zip(found.values(), shares, strict=True):
        wins = (own >= shares.max(0)) & (own > background)
        # Rounding decides where both are equal.
        unclear = np.isclose(own, background, rtol=1e-4)
        assert np.array_equal(each.mask[~unclear], wins[~unclear])
        assert each.mask.any() == (each.object_score > 0)
