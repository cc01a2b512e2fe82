"""Scores of proxies on one scale: degenerate ones last, unknown ones neutral."""

import math

import numpy as np
import pytest

from vitruvius.memory.model.proxy_scores import board_of
from vitruvius.memory.records import Score
from vitruvius.spaces.space import Architecture


def architecture(i: int) -> Architecture:
    return Architecture.of({"x": i})


def scores(name: str, values: list[float | None]) -> list[Score]:
    return [
        Score(proxy=name, architecture=architecture(i), value=value, wall_s=0.0)
        for i, value in enumerate(values)
    ]


@pytest.mark.parametrize("broken", [None, -math.inf, math.inf, math.nan])
def test_degenerate_scores_rank_last(broken: float | None) -> None:
    board = board_of(scores("snip", [broken, *(float(i) for i in range(1, 20)), -1e61]))
    assert board is not None
    said = board.at([architecture(i) for i in range(21)])[:, 0]
    assert np.argmin(said) == 0
    assert said[20] < said[1]


def test_only_the_order_counts() -> None:
    values = np.random.default_rng(0).standard_normal(30)
    plain = board_of(scores("snip", values.tolist()))
    warped = board_of(scores("snip", np.exp(20 * values).tolist()))
    assert plain is not None
    assert warped is not None
    assert (plain.said == warped.said).all()


def test_an_architecture_that_nobody_scored_is_neutral() -> None:
    board = board_of(scores("snip", [float(i) for i in range(10)]))
    assert board is not None
    assert board.at([architecture(99)]).tolist() == [[0.0, 1.0]]


def test_a_silent_proxy_is_expected_to_say_what_its_like_say() -> None:
    rng = np.random.default_rng(0)
    first = rng.standard_normal(200)
    second = first + 0.1 * rng.standard_normal(200)
    told = [*scores("a", first.tolist()), *scores("b", second[:100].tolist())]
    board = board_of(told)
    assert board is not None
    there = board.at([architecture(i) for i in range(100, 200)])
    assert np.corrcoef(there[:, 1], second[100:])[0, 1] > 0.95
    assert (there[:, 3] < 0.3).all()
    assert (there[:, 2] == 0).all()


def test_proxies_that_tell_nothing_apart_are_left_out() -> None:
    assert board_of(scores("same", [1.0] * 20)) is None
    assert board_of(scores("few", [1.0, 2.0])) is None
    assert board_of([]) is None


def test_it_knows_what_was_asked() -> None:
    board = board_of(scores("snip", [None, *(float(i) for i in range(10))]))
    assert board is not None
    assert board.has(architecture(0), ["snip"])
    assert not board.has(architecture(0), ["snip", "other"])
    assert not board.has(architecture(99), ["snip"])
