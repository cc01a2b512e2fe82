"""Areas and fronts agree with brute force."""

from pathlib import Path

import numpy as np
import pytest

from vitruvius.evals.arms.fidelity import SHORT_RANDOM
from vitruvius.evals.arms.latency import hypervolume_gain, nsga2_order
from vitruvius.evals.cases import build
from vitruvius.evals.jobs import Job, run_job, search
from vitruvius.evals.outcomes import hypervolume
from vitruvius.evals.protocols import all_protocols


def brute(points: list[tuple[float, float]], least: float, most: float) -> float:
    grid = np.linspace(0, 1, 400, endpoint=False) + 1 / 800
    values, costs = np.meshgrid(grid, grid)
    hit = np.zeros_like(values, dtype=bool)
    for value, cost in points:
        hit |= (values <= value) & (costs >= cost)
    return float((hit & (values >= least) & (costs < most)).mean())


def test_the_area_is_what_a_grid_counts() -> None:
    rng = np.random.default_rng(0)
    for count in (1, 5, 30):
        points = [(float(v), float(c)) for v, c in rng.random((count, 2))]
        assert hypervolume(points, 0.2, 0.9) == pytest.approx(brute(points, 0.2, 0.9), abs=0.006)
    assert hypervolume([(0.1, 0.1), (0.9, 0.95)], 0.2, 0.9) == 0.0


def test_fronts_come_one_after_the_other() -> None:
    points = np.random.default_rng(1).random((40, 2))
    order = nsga2_order(points)
    assert sorted(order) == list(range(40))
    beaten = [sum(bool((q <= p).all() and (q < p).any()) for q in points) for p in points]
    front = sum(count == 0 for count in beaten)
    assert all(beaten[place] == 0 for place in order[:front])


def test_the_expected_growth_is_its_mean_over_draws() -> None:
    rng = np.random.default_rng(2)
    scores, paid = rng.normal(size=6), rng.random(6)
    mean, deviation, costs = rng.normal(size=4), 0.5 + rng.random(4), rng.random(4)
    found = hypervolume_gain(scores, paid, mean, deviation, costs, 1.0)
    least = float(scores.min())
    before = hypervolume(zip(scores, paid, strict=True), least, 1.0)
    for place in range(4):
        drawn = rng.normal(mean[place], deviation[place], size=4000)
        grown = [
            hypervolume([*zip(scores, paid, strict=True), (value, costs[place])], least, 1.0)
            for value in drawn
        ]
        assert found[place] == pytest.approx(np.mean(grown) - before, rel=0.15, abs=0.01)


def test_short_trainings_cost_their_seconds(shared_data: Path) -> None:
    case = all_protocols()["fidelity"].cases[0]
    built = build(case, shared_data, 0)
    assert built.truth.cheap_cost == pytest.approx(12 / 200)
    job = Job(case=case, arm="random short first", seed=0, data=shared_data)
    oracle = search(job, built)
    short = [answer for answer in oracle.answers if not answer.is_full]
    assert len(short) == SHORT_RANDOM
    assert short[-1].cost == pytest.approx(SHORT_RANDOM * 0.06)
    assert oracle.answers[-1].cost <= case.queries
    assert (
        next(a for a in oracle.answers if a.is_full).architecture
        == max(short, key=lambda answer: answer.value).architecture
    )


def test_shuffled_short_trainings_are_the_same_values_elsewhere(shared_data: Path) -> None:
    protocol = all_protocols()["fidelity"]
    plain, shuffled = (build(protocol.cases[i], shared_data, 0).truth.cheap for i in (0, 3))
    assert plain is not None
    assert shuffled is not None
    assert sorted(plain.values()) == sorted(shuffled.values())
    assert sum(plain[a] == shuffled[a] for a in plain) < 0.2 * len(plain)


def test_a_trade_off_is_measured(shared_data: Path) -> None:
    case = all_protocols()["latency"].cases[0]
    shares = [
        run_job(Job(case=case, arm=arm, seed=0, data=shared_data)).extra["hypervolume"]
        for arm in ("random", "nsga2")
    ]
    assert 0 < shares[0] < shares[1] <= 1
