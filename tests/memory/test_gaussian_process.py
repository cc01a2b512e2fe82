"""The Gaussian process equals the textbook's, and learns what it should."""

import numpy as np
import pytest

from vitruvius.memory.model.coordinates import coordinates
from vitruvius.memory.model.gaussian_process import JITTER, Surrogate
from vitruvius.memory.model.prior import Prior, rules_prior
from vitruvius.memory.model.ranking import normal_scores
from vitruvius.spaces.cells.cell import Cell
from vitruvius.spaces.macro import Macro
from vitruvius.spaces.rules import RangeCondition, Rule, SlotCondition, holds
from vitruvius.spaces.space import FloatArray, SearchSpace, reference_features

SPACES = [Cell(), Macro()]


def drawn(space: SearchSpace, count: int, seed: int = 0) -> FloatArray:
    rng = np.random.default_rng(seed)
    return space.featurise([space.sample(rng) for _ in range(count)])


def smooth(space: SearchSpace, features: FloatArray) -> FloatArray:
    """Scores that a smooth function of the coordinates gives."""
    weights = np.random.default_rng(7).standard_normal(len(coordinates(space).columns))
    return normal_scores(coordinates(space).of(features) @ weights)


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_two_draws_lie_at_mean_squared_distance_one_in_every_group(space: SearchSpace) -> None:
    transform = coordinates(space)
    points = transform.of(reference_features(space))
    for group in transform.groups:
        assert 2 * points[:, group].var(axis=0).sum() == pytest.approx(1.0)


def test_coordinates_leave_the_features_alone() -> None:
    features = drawn(Cell(), 5)
    before = features.copy()
    coordinates(Cell()).of(features)
    assert (features == before).all()


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_posterior_equals_the_textbook(space: SearchSpace) -> None:
    features, there = drawn(space, 30), drawn(space, 7, seed=1)
    scores = smooth(space, features)
    model = Surrogate.fit(space, features, scores)
    found = model.at(there)

    transform = coordinates(space)
    a, b = transform.of(features), transform.of(there)
    weights = np.empty(a.shape[1])
    for group, weight in zip(transform.groups, model.hyper.weights, strict=True):
        weights[group] = weight

    def kernel(x: FloatArray, y: FloatArray) -> FloatArray:
        return np.exp(-(((x[:, None] - y[None]) ** 2) * weights).sum(axis=2))

    noisy = kernel(a, a) + (model.hyper.noise + JITTER) * np.eye(len(a))
    solved = np.linalg.solve(noisy, kernel(a, b))
    assert found.mean == pytest.approx(solved.T @ scores, abs=1e-6)
    covariance = model.variance * (kernel(b, b) - kernel(a, b).T @ solved)
    assert found.covariance() == pytest.approx(covariance, abs=1e-6)
    assert found.sd**2 == pytest.approx(np.diag(covariance), abs=1e-6)
    assert found.covariance_with(3) == pytest.approx(covariance[3], abs=1e-6)


def test_leaving_out_equals_fitting_without() -> None:
    space = Cell()
    features = drawn(space, 12)
    scores = smooth(space, features)
    model = Surrogate.fit(space, features, scores)
    residuals, deviations = model.left_out()
    for i in (0, 5, 11):
        rest = np.arange(12) != i
        other = Surrogate.fit(space, features[rest], scores[rest], hyper=model.hyper)
        found = other.at(features[i : i + 1])
        assert scores[i] - residuals[i] == pytest.approx(found.mean[0], abs=1e-6)
        spread = (found.sd[0] ** 2 / other.variance + model.hyper.noise + JITTER) * model.variance
        assert deviations[i] ** 2 == pytest.approx(spread, rel=1e-4)


def test_draws_have_the_posterior_mean_and_spread() -> None:
    space = Cell()
    features, there = drawn(space, 25), drawn(space, 40, seed=2)
    model = Surrogate.fit(space, features, smooth(space, features))
    found = model.at(there)
    draws = np.vstack([model.sample(found, 200, np.random.default_rng(seed)) for seed in range(20)])
    assert draws.mean(axis=0) == pytest.approx(found.mean, abs=0.12)
    assert draws.std(axis=0) == pytest.approx(found.sd, rel=0.2, abs=0.02)
    again = model.sample(found, 3, np.random.default_rng(0))
    assert (again == model.sample(found, 3, np.random.default_rng(0))).all()


def test_retold_equals_fitting_other_scores() -> None:
    space = Cell()
    features = drawn(space, 20)
    model = Surrogate.fit(space, features, smooth(space, features))
    other = normal_scores(np.arange(20.0))
    direct = Surrogate.fit(space, features, other, hyper=model.hyper)
    retold = model.retold(other)
    assert retold.whitened == pytest.approx(direct.whitened)
    assert retold.variance == pytest.approx(direct.variance)


def test_it_predicts_a_smooth_function_better_than_the_mean() -> None:
    space = Cell()
    features, there = drawn(space, 60), drawn(space, 200, seed=3)
    both = smooth(space, np.vstack([features, there]))
    model = Surrogate.fit(space, features, both[:60])
    error = both[60:] - model.at(there).mean
    assert error.std() < 0.5 * both[60:].std()


def test_fit_depends_on_the_data_alone() -> None:
    space = Cell()
    features = drawn(space, 33)
    scores = smooth(space, features)
    one, two = (Surrogate.fit(space, features.copy(), scores.copy()) for _ in range(2))
    assert one.hyper == two.hyper
    assert (one.whitened == two.whitened).all()


def test_a_single_trial_and_equal_scores_do_not_break_it() -> None:
    space = Macro()
    features = drawn(space, 3)
    for count in (1, 3):
        found = Surrogate.fit(space, features[:count], np.zeros(count)).at(features)
        assert np.isfinite(found.mean).all()
        assert (found.sd > 0).all()


def test_prior_of_rules_has_the_told_effects() -> None:
    space = Cell()
    told = [
        (Rule(stance="require", all=(RangeCondition(feature="depth", at_least=2),)), 0.8),
        (Rule(stance="avoid", all=(SlotCondition(slot="edge_0_3", choices=("none",)),)), 0.3),
        (Rule(stance="require", all=(RangeCondition(feature="paths", at_least=0),)), 9.0),
    ]
    reference = reference_features(space)
    mean = rules_prior(space, told)(reference)
    assert mean.mean() == pytest.approx(0, abs=1e-9)
    for rule, effect in told[:2]:
        met = holds(rule, space, reference)
        assert mean[met].mean() - mean[~met].mean() == pytest.approx(effect, abs=0.15)


def test_prior_is_believed_where_there_are_no_trials() -> None:
    space = Cell()
    features, there = drawn(space, 6), drawn(space, 100, seed=5)
    rule = Rule(stance="require", all=(RangeCondition(feature="depth", at_least=2),))
    prior = rules_prior(space, [(rule, 2.0)])
    told = Surrogate.fit(space, features, np.zeros(6), Prior.certain(prior)).at(there).mean
    met = holds(rule, space, there)
    plain = Surrogate.fit(space, features, np.zeros(6)).at(there).mean
    assert told[met].mean() - told[~met].mean() > plain[met].mean() - plain[~met].mean() + 0.5
