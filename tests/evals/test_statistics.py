"""Statistics agree with plain computations."""

import math

import numpy as np
import pytest
from scipy.stats import t

from vitruvius.evals.statistics import (
    bootstrap,
    holm,
    non_inferiority,
    ratio_of_means,
)


def test_the_interval_of_a_median_is_that_of_order_statistics() -> None:
    values = np.random.default_rng(0).normal(size=200)
    found = bootstrap(values)
    ranked = np.sort(values)
    half = 1.96 * math.sqrt(200) / 2
    assert found.value == np.median(values)
    assert found.low == pytest.approx(ranked[int(100 - half)], abs=0.05)
    assert found.high == pytest.approx(ranked[int(100 + half)], abs=0.05)


def test_the_interval_of_a_mean_is_the_normal_one() -> None:
    values = np.random.default_rng(1).exponential(size=300)
    found = bootstrap(values, "mean")
    half = 1.96 * values.std(ddof=1) / math.sqrt(300)
    assert found.low == pytest.approx(values.mean() - half, abs=0.02)
    assert found.high == pytest.approx(values.mean() + half, abs=0.02)


def test_intervals_cover_as_they_say() -> None:
    rng = np.random.default_rng(2)
    found = [bootstrap(rng.normal(size=50)) for _ in range(200)]
    covered = np.mean([one.low <= 0 <= one.high for one in found])
    assert 0.9 <= covered <= 0.99


def test_ratios_are_paired() -> None:
    """Two arms that rise and fall together have a sharp ratio, however much they vary."""
    control = np.random.default_rng(3).integers(5, 50, size=100).astype(float)
    found = ratio_of_means(1.1 * control, control)
    assert [found.low, found.value, found.high] == pytest.approx([1.1, 1.1, 1.1])
    apart = ratio_of_means(1.1 * control[::-1], control)
    assert apart.high > 1.15


def test_holm_is_the_textbook_example() -> None:
    adjusted = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert adjusted == pytest.approx({"d": 0.02, "a": 0.03, "c": 0.06, "b": 0.06})


def test_non_inferiority_is_a_paired_t_test_against_the_margin() -> None:
    rng = np.random.default_rng(4)
    differences = {"better": rng.normal(-0.05, 0.02, 50), "worse": rng.normal(0.05, 0.02, 50)}
    found = non_inferiority(differences, 0.02)
    assert found["better"].is_excluded
    assert not found["worse"].is_excluded
    values = differences["worse"]
    error = values.std(ddof=1) / math.sqrt(50)
    plain = t.cdf((values.mean() - 0.02) / error, df=49)
    assert found["worse"].p_value == pytest.approx(plain)
    assert found["better"].upper < 0.02 < found["worse"].upper


def test_arms_that_never_differ_are_no_worse() -> None:
    found = non_inferiority({"same": np.zeros(10)}, 0.02)
    assert found["same"].is_excluded
    assert found["same"].upper == 0.0


def test_the_rate_of_false_claims_is_kept() -> None:
    """Arms that are worse by just the margin are called no worse in about 5 % at most."""
    rng = np.random.default_rng(5)
    wrong = [
        any(
            one.is_excluded
            for one in non_inferiority(
                {name: rng.normal(0.02, 0.05, 40) for name in "abcd"}, 0.02
            ).values()
        )
        for _ in range(300)
    ]
    assert np.mean(wrong) < 0.09
