import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco

from pvtt_flow.core import rle

masks = st.tuples(st.integers(1, 40), st.integers(1, 40)).flatmap(lambda s: arrays(bool, s))


@given(masks)
def test_a_mask_survives_the_round_trip(mask: np.ndarray) -> None:
    counts = rle.encode(mask)
    assert (rle.decode(counts, *mask.shape) == mask).all()
    assert rle.fits(counts, *mask.shape)


@given(masks)
def test_it_decodes_as_coco_does(mask: np.ndarray) -> None:
    counts = rle.encode(mask)
    theirs = coco.decode({"size": list(mask.shape), "counts": counts.encode()})
    ours = rle.decode(counts, *mask.shape)
    assert ours.dtype == np.bool_
    assert (ours == theirs).all()


@pytest.mark.parametrize("counts", ["", "0", "T2", "nN"])
def test_counts_of_another_size_are_refused(counts: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        rle.decode(counts, 8, 8)


@given(masks)
def test_run_lengths_alternate_down_the_columns(mask: np.ndarray) -> None:
    lengths = rle.run_lengths(rle.encode(mask))
    values = np.arange(len(lengths)) % 2 == 1
    assert (np.repeat(values, lengths) == mask.ravel(order="F")).all()


@given(masks)
def test_the_order_in_memory_makes_no_difference(mask: np.ndarray) -> None:
    columns = np.asfortranarray(mask)
    columns.setflags(write=False)
    assert rle.encode(columns) == rle.encode(mask)
    box = rle.box_of(columns)
    assert box == rle.box_of(mask)


@given(masks)
def test_the_box_is_tight_and_exclusive(mask: np.ndarray) -> None:
    box = rle.box_of(mask)
    if box is None:
        assert not mask.any()
        return
    x0, y0, x1, y1 = box
    assert mask[y0:y1, x0:x1].sum() == mask.sum()
    assert mask[y0].any()
    assert mask[y1 - 1].any()
    assert mask[:, x0].any()
    assert mask[:, x1 - 1].any()


@pytest.mark.parametrize(
    ("counts", "why"),
    [
        ("", "nothing"),
        ("0", "too few pixels"),
        ("oooooooooooooooo", "a number that never ends"),
        ("\u20ac", "not a digit"),
        ("d1", "100 pixels would not fit 8x8"),
    ],
)
def test_foreign_counts_that_do_not_fit_are_refused(counts: str, why: str) -> None:
    assert not rle.fits(counts, 8, 8), why


@given(st.text(alphabet=st.characters(min_codepoint=40, max_codepoint=120), max_size=30))
def test_counts_that_fit_decode_to_as_many_pixels(counts: str) -> None:
    if rle.fits(counts, 8, 8):
        assert rle.decode(counts, 8, 8).shape == (8, 8)


@pytest.mark.parametrize(
    ("box", "touches"),
    [((0, 3, 4, 5), True), ((1, 1, 9, 7), False), ((1, 1, 10, 7), True), ((1, 1, 9, 8), True)],
)
def test_border(box: tuple[int, ...], *, touches: bool) -> None:
    assert rle.touches_border(box, 8, 10) is touches


@pytest.mark.parametrize("num_pixels", [11, 13, 1 << 50])
def test_counts_of_another_number_of_pixels_take_no_memory(num_pixels: int) -> None:
    digits = []
    rest = num_pixels
    while True:
        digit, rest = rest & 31, rest >> 5
        is_last = not rest and not digit & 16
        digits.append(chr(48 + digit + (0 if is_last else 32)))
        if is_last:
            break
    counts = "".join(digits)
    assert rle.run_lengths(counts).tolist() == [num_pixels]
    with pytest.raises(
        ValueError, match=f"must be of a mask of 4x3 pixels, got {num_pixels} pixels"
    ):
        rle.decode(counts, 3, 4)
