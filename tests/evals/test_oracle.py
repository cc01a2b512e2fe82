"""An oracle charges, refuses and stops as it says; a truth counts rows as the table does."""

import math
from pathlib import Path

import numpy as np
import pytest
from small_table import table, write_tables

from vitruvius.evals.cases import Case, build, truth_of
from vitruvius.evals.oracle import Oracle, PaidTask, Spent, Truth
from vitruvius.evals.outcomes import Outcome, Step, hit_of, steps_of
from vitruvius.evals.protocols import nb201
from vitruvius.tasks.task import Fidelity


@pytest.fixture
def truth(tmp_path: Path) -> Truth:
    write_tables(tmp_path)
    return truth_of(table(), tmp_path)


def test_an_oracle_charges_once_and_then_stops_the_arm(truth: Truth) -> None:
    members = list(truth.values)
    oracle = Oracle(truth, 2)
    assert oracle.ask(members[0]) == oracle.ask(members[0]) == truth.values[members[0]][0]
    oracle.ask(members[1])
    with pytest.raises(Spent):
        oracle.ask(members[2])
    assert [answer.cost for answer in oracle.answers] == [1.0, 2.0]
    assert not issubclass(Spent, Exception)


def test_what_the_table_cannot_train_costs_nothing(truth: Truth) -> None:
    half = truth.halved(0)
    absent = next(a for a in truth.values if a not in half.values)
    oracle = Oracle(half, 1)
    assert oracle.ask(absent) == -math.inf
    assert not oracle.answers


def test_a_search_that_is_watched_until_its_hit_ends_there(truth: Truth) -> None:
    best = max(truth.values, key=lambda a: truth.values[a][0])
    others = [a for a in truth.values if a != best]
    oracle = Oracle(truth, 10, stop_at_hit=True)
    oracle.ask(others[0])
    oracle.ask(best)
    assert hit_of(oracle) == 2
    with pytest.raises(Spent):
        oracle.ask(others[1])


def test_halves_are_halves_by_seed(truth: Truth) -> None:
    one, two = truth.halved(1), truth.halved(2)
    assert len(one.values) == len(one.rows) == 128
    assert set(one.values) != set(two.values)
    assert set(one.space.members() or ()) == set(one.values)
    assert one.best == max(value for value, _ in one.values.values())


def test_inverted_scores_turn_ranks_round(truth: Truth) -> None:
    turned = truth.inverted()
    for value, _ in list(truth.values.values())[:20]:
        assert truth.rank(value) + turned.rank(-value) == len(truth.rows) + 1


def test_a_paid_task_tells_no_test_value_and_charges(truth: Truth) -> None:
    oracle = Oracle(truth, 3)
    task = PaidTask(oracle)
    member = next(iter(truth.values))
    row = task.lookup(member, task.fidelity, 0)
    assert row.test is None
    assert row.value == truth.values[member][0]
    assert len(oracle.answers) == 1
    assert (task.costs(member) or {})["flops"] == row.flops
    assert PaidTask(oracle, tells_costs=False).costs(member) is None
    assert PaidTask(oracle, tells_costs=False).lookup(member, task.fidelity, 0).flops is None


def test_steps_follow_the_best_by_validation(truth: Truth) -> None:
    oracle = Oracle(truth, 6)
    members = list(truth.values)[:6]
    for member in members:
        oracle.ask(member)
    steps = steps_of(oracle)
    best = np.maximum.accumulate([truth.values[member][0] for member in members])
    for query in range(1, 7):
        outcome = Outcome(
            arm="", case="", seed=0, queries=6, paid=6, hit=None, steps=steps, best=truth.best,
            scale=1.0, trace="", cpu_s=0, wall_s=0,
        )  # fmt: skip
        step = outcome.step_at(query)
        assert step is not None
        assert step.value == best[query - 1]
        assert outcome.regret_at(query) == pytest.approx(truth.best - best[query - 1])
    assert steps[-1].rank == 1 + sum(row > best[-1] for row in truth.rows)


def test_an_outcome_survives_its_line() -> None:
    step = Step(cost=1.06, value=0.1 + 0.2, test=1.0, rank=3, fresh=0.5)
    outcome = Outcome(
        arm="a", case="c", seed=1, queries=5, paid=5.0, hit=None, steps=(step,), best=1.0,
        scale=2.0, trace="t", cpu_s=0.1, wall_s=0.2, extra={"x": 1.0},
    )  # fmt: skip
    assert Outcome.read(outcome.line()) == outcome
    assert "\n" not in outcome.line()


def test_the_threshold_is_the_16th_best_row(shared_data: Path) -> None:
    truth = truth_of(nb201("c10"), shared_data)
    assert truth.threshold == pytest.approx(91.418, abs=1e-3)
    assert truth.rank(truth.threshold) <= 16
    assert truth.rank(truth.best) == 1


def test_a_cap_leaves_what_keeps_to_it_and_its_own_best(shared_data: Path) -> None:
    truth = truth_of(nb201("c10", ",flops=30000000"), shared_data)
    assert 0 < len(truth.values) < 2000
    assert all((truth.task.costs(a) or {})["flops"] <= 30_000_000 for a in truth.values)
    assert truth.best == max(value for value, _ in truth.values.values())
    assert truth.space.members() is not None
    assert len(truth.space.members() or ()) > len(truth.values)


def test_single_runs_are_drawn_and_fresh_ones_judge(shared_data: Path) -> None:
    case = Case(target=nb201("c10", ",noise=true"), queries=5)
    truth = build(case, shared_data, 0).truth
    member = max(truth.values, key=lambda a: truth.values[a][0])
    seen = {Oracle(truth, 1, seed=seed).ask(member) for seed in range(3)}
    assert len(seen) > 1
    for value in seen:
        assert truth.fresh(member, value) == pytest.approx(np.mean(sorted(seen - {value})))
    task = PaidTask(Oracle(truth, 2))
    task.lookup(member, Fidelity(epochs=200), 0)
    task.lookup(member, Fidelity(epochs=200), 1)
    with pytest.raises(Spent):
        task.lookup(member, Fidelity(epochs=200), 2)
