"""What a budget buys at a known rate, what it will not reach, and when a limit is warned of."""

import pytest

from vitruvius.budget import Budget, parse_budget
from vitruvius.graphs.drive.estimating import (
    Rate,
    Stand,
    estimate,
    estimate_after,
    estimate_words,
    shortfalls,
)
from vitruvius.graphs.search.schedule import confirm_seconds, search_trials_left
from vitruvius.graphs.search.warnings import SoftLimits
from vitruvius.memory.records import Spent

RATE = Rate(trials=20, wall_s=10.0, train_s=16.0, tokens=1000.0, dollars=0.1, words="20 trials")


@pytest.mark.parametrize(
    ("budget", "trials", "ends_by"),
    [
        ("60 trials", 60, "trials"),
        ("60 trials, 5min", 30, "time"),
        ("160s of training, 5min", 10, "seconds of training"),
        ("60 trials, 12k tokens", 12, "tokens"),
        ("60 trials, $2", 20, "dollars"),
        ("3s", 1, "time"),
    ],
)
def test_the_tightest_limit_ends_it(budget: str, trials: int, ends_by: str) -> None:
    found = estimate(parse_budget(budget), RATE)
    assert (found.trials, found.ends_by) == (trials, ends_by)
    assert found.tokens is not None
    assert found.tokens <= trials * 1000


def test_what_is_not_known_is_said_not_guessed() -> None:
    found = estimate(parse_budget("8h, 2M tokens"), None)
    assert (found.trials, found.wall_s, found.tokens) == (None, 8 * 3600, 2_000_000)
    assert estimate_words(found).startswith("estimate: trials: not known until the first trials")
    assert estimate(parse_budget("9 trials"), None).dollars is None
    assert estimate(parse_budget("9 trials"), None, spends_tokens=False).dollars == 0
    words = estimate_words(estimate(parse_budget("60 trials, $2"), RATE))
    assert "(the limit on dollars ends it)" in words
    assert "20,000 tokens, $2.00" in words


def test_the_start_of_a_run_is_counted_once() -> None:
    spent = Spent(trials=8, wall_s=38.0, tokens=80, dollars=0.0)
    found = estimate_after(Stand(trials=4, wall_s=34.0), spent, 8, 0.5, Budget(trials=48))
    assert found.wall_s == pytest.approx(30 + 48)  # 30 s of start, then a second a trial
    found = estimate_after(Stand(trials=4, wall_s=34.0), spent, 8, 0.5, Budget(wall_s=60.0))
    assert (found.trials, found.wall_s) == (30, pytest.approx(60.0))


def test_what_the_budget_will_not_reach_is_told() -> None:
    told = shortfalls(estimate(parse_budget("30s"), RATE), Budget(wall_s=30.0),
                      reflect_every=8, is_noisy=True)  # fmt: skip
    assert len(told) == 1
    assert "about 3 trials, before the first reflection (8 results)" in told[0]
    one = shortfalls(estimate(Budget(trials=1), RATE), Budget(trials=1), reflect_every=1,
                     is_noisy=True)  # fmt: skip
    assert one == ["nothing will be left to confirm the best network on fresh seeds"]
    enough = estimate(Budget(trials=48), RATE)
    assert not shortfalls(enough, Budget(trials=48), reflect_every=8, is_noisy=True)
    unknown = estimate(Budget(trials=2), None)
    assert not shortfalls(unknown, Budget(trials=2), reflect_every=8, is_noisy=True)


def test_a_limit_is_warned_of_once_from_80_percent_on() -> None:
    soft = SoftLimits(budget=parse_budget("100 trials, 1h, $5"), is_noisy=True)
    assert list(soft.look(Spent(trials=79, wall_s=2879.0, tokens=0, dollars=3.9))) == []
    (near,) = soft.look(Spent(trials=79, wall_s=2880.0, tokens=0, dollars=3.9))
    assert near == (
        "80% of the time of the budget are used (48 min 0 s of 1 h 0 min); at 85% the search ends, "
        "the rest confirms the best networks"
    )
    both = list(soft.look(Spent(trials=90, wall_s=3000.0, tokens=0, dollars=4.5)))
    assert [sentence.split(" of the budget")[0] for sentence in both] == [
        "90% of the trials", "90% of the dollars",
    ]  # fmt: skip
    assert list(soft.look(Spent(trials=99, wall_s=3600.0, tokens=0, dollars=5.0))) == []


def test_a_time_limit_leaves_room_for_a_round_of_trainings() -> None:
    budget = Budget(wall_s=100.0)

    def left(wall_s: float, each: float, is_noisy: bool = True) -> float:
        spent = Spent(trials=3, wall_s=wall_s, tokens=0, dollars=0.0)
        return search_trials_left(budget, spent, is_noisy, each)

    assert left(84.0, 1.0) > 0 == left(85.0, 1.0)
    assert left(77.0, 10.0) > 0 == left(78.0, 10.0)  # one more, and then a round with some room
    assert left(49.0, 90.0) > 0 == left(50.0, 90.0)
    assert left(99.0, 10.0, is_noisy=False) > 0
    assert confirm_seconds(100.0, 10.0) == 12.5
