from fractions import Fraction
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pvtt_flow.core.timeline import SamplingParams, rate_of, sample, to_ns, to_ticks

MS = 1_000_000
TIME_BASES = [Fraction(1, n) for n in (600, 1000, 11456, 12800, 15360, 30000, 90000, 10**9)]
rising_ns = st.lists(st.integers(1, 400 * MS), min_size=1, max_size=80).map(
    lambda gaps: [sum(gaps[:i]) for i in range(len(gaps))]
)


def chosen(times_ns: list[int], **rule: float) -> list[int]:
    return list(
        sample(times_ns, SamplingParams.model_validate(rule), pts_ns=lambda time_ns: time_ns)
    )


@given(st.integers(-(2**40), 2**40), st.sampled_from(TIME_BASES))
def test_to_ns_is_the_nearest_nanosecond(ticks: int, time_base: Fraction) -> None:
    assert abs(to_ns(ticks, time_base) - ticks * time_base * 10**9) <= Fraction(1, 2)


def test_to_ns_has_no_float_error() -> None:
    assert to_ns(10**18 + 1, Fraction(1, 10**9)) == 10**18 + 1


@given(st.integers(-(2**40), 2**40), st.sampled_from(TIME_BASES))
def test_to_ticks_undoes_to_ns(ticks: int, time_base: Fraction) -> None:
    assert to_ticks(to_ns(ticks, time_base), time_base) == ticks


@given(rising_ns, st.integers(1, 9))
def test_stride_takes_every_nth_from_the_first(times_ns: list[int], stride: int) -> None:
    assert chosen(times_ns, stride=stride) == times_ns[::stride]


@given(rising_ns, st.floats(0.2, 120))
def test_target_fps_takes_the_first_frame_at_or_after_each_grid_time(
    times_ns: list[int], fps: float
) -> None:
    step_ns = 10**9 / Fraction(fps)
    rounding_ns = min(Fraction(MS), step_ns / 4)
    expected: set[int] = set()
    for k in range(int(times_ns[-1] / step_ns) + 2):
        early_ns = {t: times_ns[0] + k * step_ns - t for t in times_ns}
        # A frame that is taken already serves this time, too, only if it is nearer.
        due = (t for t in times_ns if early_ns[t] <= (1 if t in expected else 2) * rounding_ns)
        expected.update(islice(due, 1))
    assert chosen(times_ns, target_fps=fps) == sorted(expected)


def test_target_fps_on_variable_rate() -> None:
    times_ns = [t * MS for t in (0, 33, 67, 100, 133, 250)]
    assert [t // MS for t in chosen(times_ns, target_fps=10.0)] == [0, 100, 250]


def test_target_fps_survives_millisecond_rounding() -> None:
    times_ns = [round(i * 1000 / 30) * MS for i in range(300)]
    assert chosen(times_ns, target_fps=15.0) == times_ns[::2]


def test_a_target_above_the_source_repeats_nothing() -> None:
    times_ns = [i * 40 * MS for i in range(10)]
    assert chosen(times_ns, target_fps=500.0) == times_ns


def test_sampling_is_lazy() -> None:
    endless = iter(int, 1)
    assert next(sample(endless, SamplingParams(), pts_ns=int)) == 0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"stride": 0}, "greater than or equal to 1"),
        ({"target_fps": 0.0}, "greater than 0"),
        ({"target_fps": float("inf")}, "finite"),
        ({"stride": 2, "target_fps": 5.0}, "stride must be 1 when target_fps is set, got stride 2"),
        ({"fps": 5}, "Extra inputs are not permitted"),
    ],
)
def test_bad_values_are_refused(values: dict[str, float], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SamplingParams.model_validate(values)


@pytest.mark.parametrize("source_fps", [16, 17, 20, 24, 25, 30, 60])
def test_the_rate_of_sampled_frames_is_that_of_the_sampling(source_fps: int) -> None:
    sampled = chosen([round(n * 1e9 / source_fps) for n in range(10 * source_fps)], target_fps=16)
    rate = rate_of(sampled)
    assert len(sampled) == 160
    # The last one may be late by a period.
    assert rate
    assert 16 * Fraction(159, 160) < rate < Fraction(16_000_001, 1_000_000)


def test_a_rate_without_pauses() -> None:
    assert rate_of([0, 40 * MS, 80 * MS, 60_000 * MS, 60_040 * MS]) == 25
    assert rate_of([0, 40 * MS, 80 * MS, 160 * MS]) == Fraction(75, 4)
    assert rate_of([7]) is None
    assert rate_of([]) is None
