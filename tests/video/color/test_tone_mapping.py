"""The tone curve has the values that the standards define."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvtt_flow.video.color.tone_mapping import Transfer, cube, to_sdr

# PQ code values of 0.1, 100, 203, 1,000 and 10,000 cd/m² (SMPTE ST 2084, ITU-R BT.2408).
PQ_100, PQ_203, PQ_1000 = 0.5081, 0.5806, 0.7518
HLG_203 = 0.75


def gray(code: float) -> np.ndarray:
    return np.full(3, code)


@pytest.mark.parametrize(("transfer", "white"), [("pq", PQ_203), ("hlg", HLG_203)])
def test_both_transfers_agree_on_white(transfer: Transfer, white: float) -> None:
    assert to_sdr(gray(white), transfer) == pytest.approx(0.903, abs=0.002)
    assert to_sdr(gray(0), transfer) == pytest.approx(0, abs=1e-3)


def test_the_mastering_peak_maps_to_white() -> None:
    assert to_sdr(gray(PQ_1000), "pq") == pytest.approx(1, abs=1e-3)
    assert to_sdr(gray(1), "pq") == pytest.approx(1, abs=1e-3)
    assert to_sdr(gray(1), "hlg") == pytest.approx(1, abs=1e-3)


def test_light_below_the_knee_is_unchanged() -> None:
    # 92 cd/m² of 203, in the code values of BT.1886.
    assert to_sdr(gray(0.4403), "pq") == pytest.approx((50 / 203) ** (1 / 2.4), abs=1e-3)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=20), st.sampled_from(["pq", "hlg"]))
def test_tone_mapping_is_monotonic(codes: list[float], transfer: Transfer) -> None:
    grays = to_sdr(np.sort(codes)[:, None].repeat(3, axis=1), transfer)
    assert (np.diff(grays, axis=0) >= -1e-9).all()
    assert np.ptp(grays, axis=1) == pytest.approx(0, abs=1e-3), "gray stays gray"


@given(st.tuples(*[st.floats(0, 1)] * 3), st.sampled_from(["pq", "hlg"]))
def test_every_color_maps_into_the_range(code: tuple[float, ...], transfer: Transfer) -> None:
    mapped = to_sdr(np.array(code), transfer)
    assert ((mapped >= 0) & (mapped <= 1)).all()


def test_red_changes_fastest_in_a_cube_file() -> None:
    size, *rows = cube("pq", 3).splitlines()
    assert size == "LUT_3D_SIZE 3"
    assert len(rows) == 27
    reddest = np.array([float(number) for number in rows[2].split()])
    assert reddest == pytest.approx(to_sdr(np.array([1, 0, 0]), "pq"), abs=1e-5)
    assert reddest.argmax() == 0
