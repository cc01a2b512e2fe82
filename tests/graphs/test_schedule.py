"""What is due when follows from a run's rows alone."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitruvius.graphs import schedule
from vitruvius.graphs.schedule import Progress
from vitruvius.memory.records import Budget, Origin, ResultStatus, Spent, Trial
from vitruvius.spaces.space import Architecture

FRESH = Progress(
    closed=0,
    reflected_at=0,
    verify_due=False,
    idle=0,
    since_best=0,
    has_open_decision=False,
    is_search_over=False,
)


def trial(number: int, origin: Origin) -> Trial:
    return Trial(
        run_id="r",
        number=number,
        result_id=number,
        decision_id=None,
        architecture=Architecture(str(number)),
        fidelity="8ep",
        seed=0,
        origin=origin,
        propensity=None,
        reused=False,
        status=ResultStatus.DONE,
        value=1.0,
        train_s=1.0,
        params=None,
        flops=None,
        message=None,
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
        ({"closed": 4, "since_best": 12}, "reflect"),
        ({"closed": 3, "since_best": 12}, "architect"),
        ({"is_search_over": True, "closed": 3}, "reflect"),
        ({"is_search_over": True, "closed": 3, "reflected_at": 3}, "confirm"),
        ({"is_search_over": True, "has_open_decision": True}, "architect"),
    ],
)
def test_due(change: dict[str, int], due: str) -> None:
    assert schedule.next_node(replace(FRESH, **change), reflect_every=8) == due


def test_reflect_every_is_read() -> None:
    assert schedule.next_node(replace(FRESH, closed=3), reflect_every=3) == "reflect"


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
    trials: list[Trial] = []
    while len(trials) < total:
        origins = schedule.forced_origins(
            trials, explore=explore, control=control, repeats_due=0, room=batch
        )
        assert len(origins) <= batch
        origins += [Origin.ARCHITECT] * (batch - len(origins))
        trials += [trial(len(trials) + 1 + i, origin) for i, origin in enumerate(origins)]
    uniform = sum(t.origin == Origin.EXPLORE for t in trials)
    assert uniform >= schedule.INITIAL_DRAWS
    assert sum(t.origin == Origin.CONTROL for t in trials) >= control * len(trials)
    if control + explore <= 1 - 1 / batch:
        assert uniform >= explore * len(trials)
    assert uniform <= max(schedule.INITIAL_DRAWS, explore * len(trials) + 1)


def test_the_first_design_is_uniform() -> None:
    origins = schedule.forced_origins([], explore=0.15, control=0.5, repeats_due=1, room=8)
    assert origins == [Origin.EXPLORE] * schedule.INITIAL_DRAWS


def test_a_repeat_follows_each_verification_of_a_noisy_task() -> None:
    trials = [trial(1, Origin.EXPLORE), trial(2, Origin.REPEAT)]
    assert schedule.repeats_due(trials, verifications=1, is_noisy=True) == 0
    assert schedule.repeats_due(trials, verifications=2, is_noisy=True) == 1
    assert schedule.repeats_due(trials, verifications=2, is_noisy=False) == 0


@given(left=st.one_of(st.just(math.inf), st.integers(0, 50).map(float)))
def test_confirmation_fits_what_is_left(left: float) -> None:
    finalists, seeds = schedule.confirm_seeds(left)
    assert finalists * seeds <= left
    assert finalists <= schedule.FINALISTS
    if left >= 1:
        assert finalists * seeds >= 1
