"""Trials teach the weights of proxies; those of earlier runs are a prior."""

import numpy as np
import pytest

from vitruvius.evals.synthetic import create_space
from vitruvius.memory.evidence.calibration import proxy_weights
from vitruvius.memory.model.gaussian_process import Surrogate
from vitruvius.memory.model.proxy_scores import (
    DOUBT,
    Board,
    board_of,
    expected_weights,
    with_proxies,
)
from vitruvius.memory.model.ranking import learn, normal_scores
from vitruvius.memory.records import Score, Trial
from vitruvius.memory.testing import closed_trial
from vitruvius.memory.transfer.source_hints import Source
from vitruvius.spaces.space import Architecture, FloatArray, distinct
from vitruvius.tasks.task import Metric

SPACE = create_space()
UP = Metric(name="accuracy")


def architectures(count: int, seed: int = 0) -> list[Architecture]:
    rng = np.random.default_rng(seed)
    return distinct(SPACE.sample(rng) for _ in range(3 * count))[:count]


def scored(which: list[Architecture], columns: dict[str, FloatArray]) -> list[Score]:
    return [
        Score(proxy=name, architecture=architecture, value=float(value), wall_s=0.0)
        for name, column in columns.items()
        for architecture, value in zip(which, column, strict=True)
    ]


def planted(
    count: int, seed: int = 0
) -> tuple[list[Architecture], dict[str, FloatArray], FloatArray]:
    """Returns architectures, a good proxy, its copy and a null one, and values."""
    rng = np.random.default_rng([seed, 1])
    good = rng.standard_normal(count)
    columns = {"good": good, "null": rng.standard_normal(count)}
    return architectures(count, seed), columns, good + 0.5 * rng.standard_normal(count)


def trials_of(which: list[Architecture], values: FloatArray) -> list[Trial]:
    return [
        closed_trial(i, architecture, float(value))
        for i, (architecture, value) in enumerate(zip(which, values, strict=True), 1)
    ]


def whole(columns: dict[str, FloatArray], which: list[Architecture]) -> Board:
    board = board_of(scored(which, columns))
    assert board is not None
    return board


def test_weights_recover_a_planted_proxy() -> None:
    which, columns, values = planted(120)
    board = whole(columns, which)
    lesson = learn(trials_of(which[:60], values[:60]), UP)
    weights = proxy_weights(SPACE, board, (), lesson)
    assert weights["good"] > 0.5
    assert abs(weights["null"]) < 0.25
    prior = with_proxies(None, board, (), len(SPACE.features))
    features = board.beside(SPACE.featurise(which), which)
    told = Surrogate.fit(SPACE, features[:60], lesson.scores, prior).at(features[60:])
    assert np.corrcoef(told.mean, values[60:])[0, 1] > 0.7


def test_proxies_that_say_the_same_share_the_weight() -> None:
    which, columns, values = planted(60)
    lesson = learn(trials_of(which, values), UP)
    twins = {"good": columns["good"], "copy": columns["good"], "null": columns["null"]}
    alone = proxy_weights(SPACE, whole(columns, which), (), lesson)
    both = proxy_weights(SPACE, whole(twins, which), (), lesson)
    assert both["good"] == pytest.approx(both["copy"])
    assert both["good"] + both["copy"] == pytest.approx(alone["good"], abs=0.15)


def test_without_earlier_runs_nothing_is_expected() -> None:
    which, columns, _ = planted(30)
    weights, covariance = expected_weights(whole(columns, which), ())
    assert (weights == 0).all()
    assert np.trace(covariance) == pytest.approx(DOUBT**2)


def test_an_earlier_run_gives_the_prior_by_its_trust() -> None:
    which, columns, _ = planted(60)
    there, here = planted(60, seed=1), whole(columns, which)

    def expected(trust: float) -> FloatArray:
        source = Source(
            run_id="earlier",
            task_name="other",
            space=SPACE,
            metric=UP,
            trials=trials_of(there[0], there[2]),
            trust=trust,
            scores=scored(there[0], there[1]),
        )
        return expected_weights(here, (source,))[0]

    good, null = here.proxies.index("good"), here.proxies.index("null")
    assert 0 < expected(0.1)[good] < expected(0.8)[good] < 1
    assert abs(expected(0.8)[null]) < 0.2


def test_no_unpaid_label_is_seen() -> None:
    which, columns, values = planted(60)
    board = whole(columns, which)
    lesson = learn(trials_of(which[:20], values[:20]), UP)
    again = learn(trials_of(which, np.r_[values[:20], -values[20:]])[:20], UP)
    assert proxy_weights(SPACE, board, (), lesson) == proxy_weights(SPACE, board, (), again)


def test_trials_without_a_score_count_for_less() -> None:
    which, columns, values = planted(60)
    half = {"good": columns["good"][:30], "null": columns["null"][:30]}
    board = whole(half, which[:30])
    prior = with_proxies(None, board, (), len(SPACE.features))
    features = board.beside(SPACE.featurise(which), which)
    unsaid = prior.unsaid(features)
    assert unsaid is not None
    assert (unsaid[:30] == 0).all()
    assert unsaid[30:] == pytest.approx(DOUBT**2)
    model = Surrogate.fit(SPACE, features, normal_scores(values), prior)
    assert np.isfinite(model.at(features).mean).all()
