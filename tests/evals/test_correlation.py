"""Rank correlations against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from vitruvius.evals.studies.correlation import (
    difference,
    spearman,
    tau,
    with_interval,
    words,
)
from vitruvius.spaces.space import FloatArray

LOSS = np.array([4.0, 3.0, 2.0, 1.0])


def partial_tau(scores: FloatArray, loss: FloatArray, given: FloatArray) -> float:
    direct, first, second = tau(scores, loss), tau(scores, given), tau(loss, given)
    return (direct - first * second) / math.sqrt((1 - first**2) * (1 - second**2))


def test_what_has_no_value_ranks_last_and_is_not_dropped() -> None:
    assert tau(np.array([math.nan, 1.0, 2.0, 3.0]), LOSS) == -1.0
    assert tau(np.array([1.0, 2.0, 3.0, math.nan]), LOSS) == pytest.approx(0.0)
    assert tau(np.array([-math.inf, math.nan, 1.0, 2.0]), LOSS) == pytest.approx(-5 / math.sqrt(30))


def test_an_interval_holds_its_value_and_shrinks_with_more_rows() -> None:
    rng = np.random.default_rng(1)
    loss = rng.normal(size=400)
    scores = rng.normal(size=400) - loss
    loss[1], scores[2:4] = loss[0], math.nan  # ties
    few = with_interval(scores[:40], loss[:40], draws=200)
    many = with_interval(scores, loss, draws=200)
    assert few.low < few.value < few.high < 0
    assert few.value == pytest.approx(tau(scores[:40], loss[:40]))
    size = rng.normal(size=40)
    partial = with_interval(scores[:40], loss[:40], given=size, draws=200)
    assert partial.value == pytest.approx(partial_tau(scores[:40], loss[:40], size))
    assert many.high - many.low < (few.high - few.low) / 2
    assert words(with_interval(np.ones(9), rng.normal(size=9), draws=5)) == "-"


def test_a_difference_is_paired_and_spearman_leaves_out_what_is_not_finite() -> None:
    rng = np.random.default_rng(2)
    loss = rng.normal(size=50)
    same = difference((loss, loss), (loss, loss), draws=50)
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
    assert difference((loss, loss), (-loss, loss), draws=50).low == pytest.approx(2.0)
    assert spearman(np.array([math.nan, 1.0, 2.0, 4.0]), LOSS) == pytest.approx(-1.0)
    assert math.isnan(spearman(np.array([math.nan, 1.0]), np.ones(2)))
