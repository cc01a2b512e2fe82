"""Tables say what the outcomes say."""

from vitruvius.evals.cases import Case
from vitruvius.evals.outcomes import Outcome, Step
from vitruvius.evals.protocols import Protocol, nb201
from vitruvius.evals.tables import lapt_stop, tables_of

CASE = Case(target=nb201("c10"), queries=20)


def step(cost: float, value: float, rank: int = 1) -> Step:
    return Step(cost=cost, value=value, test=value + 2, rank=rank, fresh=value)


def outcome(arm: str, seed: int, hit: float | None, *steps: Step) -> Outcome:
    return Outcome(
        arm=arm, case=CASE.key, seed=seed, queries=20, paid=20, hit=hit,
        steps=steps or (step(1, 90.0),), best=91.6, scale=4.0, trace="", cpu_s=0.5, wall_s=0.5,
    )  # fmt: skip


def test_censored_searches_count_as_one_more_than_the_budget() -> None:
    protocol = Protocol(name="p", about="", cases=(CASE,), arms=("a", "b"), control="a")
    found = {
        "a": {0: outcome("a", 0, 4), 1: outcome("a", 1, 6)},
        "b": {0: outcome("b", 0, None), 1: outcome("b", 1, 10), 2: outcome("b", 2, None)},
    }
    table = tables_of(protocol, {CASE: found})[0]
    row = dict(zip(table.columns, table.rows[1], strict=True))
    assert row["arm"] == "b"
    assert row["median"].startswith("21 [")
    assert row["reached"] == "33%"
    assert row["mean"] == "17.3"
    assert row["ratio to a"].startswith("3.10 (≤ ")  # (21 + 10) / (4 + 6), on the shared seeds
    assert row["regret"] == "1.600"


def test_ranks_are_means_over_cases_and_bounds_are_shown() -> None:
    other = Case(target=nb201("c100"), queries=20)
    protocol = Protocol(
        name="p", about="", cases=(CASE, other), arms=("transfer", "x"), reading="rank"
    )
    found = {
        case: {
            arm: {s: outcome(arm, s, None, step(1, value + s / 100, rank)) for s in range(3)}
            for arm, value, rank in (("transfer", 91.0, 2), ("x", 90.0, 10))
        }
        for case in (CASE, other)
    }
    whole, bounds, each = tables_of(protocol, found)
    assert whole.rows[0][:3] == ("transfer", "3", "2 [2, 2]")
    assert whole.rows[1][2] == "10 [10, 10]"
    assert bounds.rows[0][0] == "x"
    assert bounds.rows[0][1] == "-0.2500"
    assert bounds.rows[0][-1] == "yes"
    assert [row[1:] for row in each.rows] == [("2.0", "10.0")] * 2


def test_the_published_metric_mixes_its_two_stops() -> None:
    """An optimum that is hit late replaces the earlier time to the top 0.1 %."""
    both = outcome("a", 0, 3, step(3, 91.5), step(9, 91.61))
    assert lapt_stop(both, CASE) == (9, 93.61, True)
    top = outcome("a", 0, 3, step(3, 91.5), step(9, 91.55))
    assert lapt_stop(top, CASE) == (3, 93.5, True)
    none = outcome("a", 0, None, step(3, 91.0))
    assert lapt_stop(none, CASE) == (20, 93.0, False)
