"""What is due when follows from a run's rows alone."""

import math
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitruvius.budget import Budget
from vitruvius.graphs.search import schedule
from vitruvius.graphs.search.schedule import Progress
from vitruvius.memory.records import Origin, Spent

FRESH = Progress(
    closed=0,
    reflected_at=0,
    verify_due=False,
    idle=0,
    since_best=0,
    has_open_decision=False,
    is_search_over=False,
    has_loan=False,
)


@pytest.mark.parametrize(
    ("change", "due"),
    [
        ({}, "architect"),
        ({"closed": 7}, "architect"),
        ({"closed": 8}, "reflect"),
        ({"closed": 16, "reflected_at": 8}, "reflect"),
        ({"closed": 9, "reflected_at": 8}, "architect"),
        ({"verify_due": True, "closed": 8}, "verify"),
        ({"has_open_decision": True, "closed": 8}, "architect"),
        ({"idle": 6}, "reflect"),
        ({"closed": 20, "reflected_at": 14, "since_best": 5}, "architect"),
        ({"closed": 20, "reflected_at": 15, "since_best": 13}, "reflect"),
        ({"closed": 24, "reflected_at": 20, "since_best": 17}, "architect"),
        ({"closed": 20, "reflected_at": 18, "since_best": 13}, "architect"),
        ({"is_search_over": True, "closed": 3}, "reflect"),
        ({"is_search_over": True, "closed": 3, "reflected_at": 3}, "confirm"),
        ({"is_search_over": True, "has_open_decision": True}, "architect"),
    ],
)
def test_due(change: dict[str, int], due: str) -> None:
    assert schedule.next_node(replace(FRESH, **change), reflect_every=8) == due


def test_reflect_every_is_read() -> None:
    assert schedule.next_node(replace(FRESH, closed=3), reflect_every=3) == "reflect"


def test_a_loan_is_called_in_whenever_the_principles_are_rewritten() -> None:
    lent = replace(FRESH, has_loan=True, closed=schedule.LOAN - 1)
    over = replace(lent, closed=schedule.LOAN)
    assert schedule.next_node(lent, reflect_every=40) == "architect"
    assert schedule.next_node(over, reflect_every=40) == "reflect"
    reviewed = replace(over, reflected_at=schedule.LOAN)
    assert schedule.next_node(reviewed, reflect_every=40) == "architect"


def spent(trials: int = 0, wall_s: float = 0.0, tokens: int = 0, dollars: float = 0.0) -> Spent:
    return Spent(trials=trials, wall_s=wall_s, tokens=tokens, dollars=dollars)


def test_the_last_share_of_the_trials_is_kept_for_confirmation() -> None:
    budget = Budget(trials=60)
    assert schedule.search_trials_left(budget, spent(50), is_noisy=True) == 1
    assert schedule.search_trials_left(budget, spent(51), is_noisy=True) == 0
    assert schedule.search_trials_left(budget, spent(51), is_noisy=False) == 9


@pytest.mark.parametrize(
    ("budget", "used"),
    [
        (Budget(wall_s=100), spent(wall_s=85.0)),
        (Budget(train_s=100), replace(spent(), train_s=85.0)),
        (Budget(tokens=10), spent(tokens=10)),
        (Budget(dollars=1.0), spent(dollars=1.0)),
    ],
)
def test_every_kind_of_budget_ends_the_search(budget: Budget, used: Spent) -> None:
    assert schedule.search_trials_left(budget, spent(), is_noisy=True) == math.inf
    assert schedule.search_trials_left(budget, used, is_noisy=True) == 0


@given(
    explore=st.floats(0.01, 1.0),
    control=st.floats(0.0, 0.5),
    batch=st.integers(1, 8),
    total=st.integers(30, 120),
)
def test_shares_are_kept(explore: float, control: float, batch: int, total: int) -> None:
    made: Counter[Origin] = Counter()
    while made.total() < total:
        origins = schedule.forced_origins(
            made, explore=explore, control=control, repeats_due=0, room=batch
        )
        assert len(origins) <= batch
        made.update(origins)
        made[Origin.ARCHITECT] += batch - len(origins)
    assert made[Origin.EXPLORE] >= schedule.INITIAL_DRAWS
    assert made[Origin.CONTROL] >= control * made.total()
    if control + explore <= 1 - 1 / batch:
        assert made[Origin.EXPLORE] >= explore * made.total()
    assert made[Origin.EXPLORE] <= max(schedule.INITIAL_DRAWS, explore * made.total() + 1)


def test_the_first_design_is_uniform() -> None:
    origins = schedule.forced_origins({}, explore=0.15, control=0.5, repeats_due=1, room=8)
    assert origins == [Origin.EXPLORE] * schedule.INITIAL_DRAWS


def test_a_repeat_follows_each_verification_of_a_noisy_task() -> None:
    made = {Origin.EXPLORE: 1, Origin.REPEAT: 1}
    assert schedule.repeats_due(made, verifications=1, is_noisy=True) == 0
    assert schedule.repeats_due(made, verifications=2, is_noisy=True) == 1
    assert schedule.repeats_due(made, verifications=2, is_noisy=False) == 0


@given(left=st.one_of(st.just(math.inf), st.integers(0, 50).map(float)))
def test_confirmation_fits_what_is_left(left: float) -> None:
    count = schedule.confirm_trials(left)
    assert count <= left
    assert count == (9 if math.isinf(left) else min(left, schedule.MOST_CONFIRMED))


def test_where_sources_have_a_say_they_come_first_and_the_share_is_paid_later() -> None:
    made: Counter[Origin] = Counter()
    for _ in range(100):
        forced = schedule.forced_origins(
            made, explore=0.15, control=0.0, repeats_due=0, room=1, guided=True
        )
        made[forced[0] if forced else Origin.ARCHITECT] += 1
        total = sum(made.values())
        assert made[Origin.EXPLORE] >= int(0.15 * total)
        assert made[Origin.EXPLORE] == {1: 0, 3: 0, 4: 1, 5: 1, 6: 2}.get(
            total, made[Origin.EXPLORE]
        )
    assert made[Origin.EXPLORE] == 15


def test_without_an_exploration_share_sources_do_not_bring_one() -> None:
    assert not schedule.forced_origins(
        {Origin.ARCHITECT: 9}, explore=0.0, control=0.0, repeats_due=0, room=1, guided=True
    )
