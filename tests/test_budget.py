"""Budgets are read as people write them, and written as they are read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitruvius.budget import Budget, budget_text, check_bounded, parse_budget
from vitruvius.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("60 trials", Budget(trials=60)),
        ("1 trial", Budget(trials=1)),
        ("60trials,8h", Budget(trials=60, wall_s=28800.0)),
        ("2M tokens", Budget(tokens=2_000_000)),
        ("1.5k tokens", Budget(tokens=1500)),
        ("2.3M tokens", Budget(tokens=2_300_000)),
        ("$5", Budget(dollars=5.0)),
        ("0.25 dollars", Budget(dollars=0.25)),
        ("3 USD", Budget(dollars=3.0)),
        ("90 min", Budget(wall_s=5400.0)),
        ("8m", Budget(wall_s=480.0)),
        ("1h 30min", Budget(wall_s=5400.0)),
        ("1h30m", Budget(wall_s=5400.0)),
        ("2 days", Budget(wall_s=172800.0)),
        ("20h of training", Budget(train_s=72000.0)),
        ("9 trials, 1h, 1d 6h of training", Budget(trials=9, wall_s=3600.0, train_s=108000.0)),
        ("5_000 trials", Budget(trials=5000)),
        (
            " 60 trials , 8h, 2M tokens, $5 ",
            Budget(trials=60, wall_s=28800.0, tokens=2_000_000, dollars=5.0),
        ),
    ],
)
def test_reads(text: str, budget: Budget) -> None:
    assert parse_budget(text) == budget


@pytest.mark.parametrize(
    "text",
    ["", " ", ",", "60", "60 trials,", "sixty trials", "0 trials", "-3 trials", "1.5 trials", "$0",
     "$", "$-1", "5 trials, 6 trials", "1h, 2h", "8 parsecs", "60 trials 8h", "1h nonsense",
     "of training", "3 of training", "1h of training, 2h of training", "1h training",
     "2M", "1__ h x", "nan h", "inf h", "1e3 trials", "٣ trials", "0h", "9" * 400 + " trials"],
)  # fmt: skip
def test_refuses_with_a_sentence(text: str) -> None:
    with pytest.raises(ConfigError, match="budget"):
        parse_budget(text)


positive = st.integers(min_value=1, max_value=10**12)
cents = st.integers(min_value=1, max_value=10**9).map(lambda n: n / 100)
budgets = st.builds(
    Budget,
    trials=st.none() | positive,
    wall_s=st.none() | cents,
    train_s=st.none() | cents,
    tokens=st.none() | positive,
    dollars=st.none() | cents,
).filter(lambda budget: budget != Budget())


@given(budgets)
def test_what_is_written_is_read_back(budget: Budget) -> None:
    assert parse_budget(budget_text(budget)) == budget


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        budget = parse_budget(text)
    except ConfigError:
        return
    limits = [budget.trials, budget.wall_s, budget.tokens, budget.dollars]
    assert any(limit is not None for limit in limits)
    assert all(limit is None or limit > 0 for limit in limits)


def test_no_limit_has_a_text() -> None:
    assert budget_text(Budget()) == "no limit"


def test_a_budget_that_never_runs_out_is_refused() -> None:
    check_bounded(Budget(trials=1), spends_tokens=False)
    check_bounded(Budget(wall_s=1.0), spends_tokens=False)
    check_bounded(Budget(dollars=1.0), spends_tokens=True)
    with pytest.raises(ConfigError, match="never runs out"):
        check_bounded(Budget(dollars=1.0), spends_tokens=False)
    with pytest.raises(ConfigError, match="needs a limit"):
        check_bounded(Budget(), spends_tokens=True)
