"""The report's statistics against plain slow versions, and against the truth they estimate."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from vitruvius.tools.report.statistics import estimates, random_band, share_bound

scores = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=12)


def slow_bounds(values: list[float], n: int) -> tuple[float | None, float | None]:
    """Returns the order statistics that bound a quantile, by summing binomial terms."""
    ordered, m, q = sorted(values), len(values), 0.5 ** (1 / n)

    def at_most(k: int) -> float:
        return sum(math.comb(m, i) * q**i * (1 - q) ** (m - i) for i in range(k + 1))

    low = [ordered[k] for k in range(m) if at_most(k) <= 0.025]
    high = [ordered[k - 1] for k in range(1, m + 1) if 1 - at_most(k - 1) <= 0.025]
    return (low[-1] if low else None), (high[0] if high else None)


@given(scores, st.integers(1, 40))
def test_the_band_is_that_of_the_slow_version(values: list[float], n: int) -> None:
    band = random_band(dict(enumerate(values)), n)
    assert band is not None
    assert (band.low, band.high) == slow_bounds(values, n)
    assert band.trials == tuple(range(len(values)))


@pytest.mark.parametrize(("m", "n"), [(6, 1), (10, 1), (15, 2), (30, 5), (9, 9)])
def test_the_band_covers_the_median_best_of_n(m: int, n: int) -> None:
    rng = np.random.default_rng(1)
    truth = -math.log(1 - 0.5 ** (1 / n))  # of exponential draws: skewed on purpose
    above = below = over = seen = 0
    for _ in range(1000):
        band = random_band(dict(enumerate(rng.exponential(size=m).tolist())), n)
        assert band is not None
        above += band.low is not None and band.low > truth
        below += band.high is not None and band.high < truth
        if band.median is not None:
            seen += 1
            over += band.median > truth
    assert above <= 40  # 2.5 % of 1000 and three standard errors
    assert below <= 40
    assert 0.4 <= over / seen <= 0.6


def test_failed_draws_rank_last_and_have_no_value() -> None:
    band = random_band({1: -math.inf, 2: -math.inf, 3: 5.0, 4: -math.inf, 5: -math.inf}, 1)
    assert band is not None
    assert band.median is None
    assert random_band({}, 3) is None


@given(st.integers(0, 30), st.integers(1, 30))
def test_the_bound_of_a_share_is_exact(hits: int, more: int) -> None:
    draws = hits + more
    bound = share_bound(hits, draws)
    assert bound is not None
    assert stats.binom.cdf(hits, draws, bound) == pytest.approx(0.05)
    assert share_bound(draws, draws) == 1.0
    assert share_bound(0, 0) is None


def test_the_interval_covers_the_mean() -> None:
    rng = np.random.default_rng(0)
    missed = 0
    for _ in range(1000):
        drawn = rng.normal(size=(3, 3))
        first = estimates([dict(enumerate(row)) for row in drawn.tolist()])[0]
        assert first is not None
        assert first.low is not None
        assert first.high is not None
        missed += not first.low <= 0 <= first.high
    assert 30 <= missed <= 70


def test_one_value_has_no_interval() -> None:
    (alone,) = estimates([{4: 1.5}])
    assert alone is not None
    assert (alone.mean, alone.low, alone.high, alone.trials) == (1.5, None, None, (4,))
    assert estimates([{}]) == [None]
