"""When what happens: pure functions of where a run stands. The loop belongs to the program."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from vitruvius.budget import Budget
from vitruvius.memory.records import Origin, Spent

CONFIRM_SHARE = 0.15
ROUND = 1.25  # of the mean training: what a round of them takes, with some room
MOST_KEPT = 0.5  # of a limit on time, for confirmation
FINALISTS = 3
INITIAL_DRAWS = 4
MODEL_BATCH = 4  # a model names up to so many architectures at once
GUIDED_DRAWS = (4, 6)  # enough to find out whether a source misleads
MAX_IDLE = 6  # decisions without a training before a reflection
MAX_REPEATS = 5
STALL = 12  # results without a better one
LOAN = 6  # results for which a provisional cut stands on the word of other runs alone
SEEDS_EACH = 3  # fresh seeds of a finalist where the budget names neither trials nor time
MOST_CONFIRMED = 30  # ten seeds each tell finalists apart; more is better spent on the search


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a run stands, derived from its ledger rows alone."""

    closed: int  # search trials with an outcome
    reflected_at: int  # of them, how many the verification of the theorist's last turn saw
    verify_due: bool  # a reflection has no verification yet
    idle: int  # decisions since the last training or reflection
    since_best: int  # results since the best one
    has_open_decision: bool
    is_search_over: bool
    has_loan: bool  # a provisional cut is in force


def next_node(
    progress: Progress, reflect_every: int
) -> Literal["verify", "architect", "reflect", "confirm"]:
    """Returns what is due, the same after a resume as without one."""
    if progress.verify_due:  # first: what was rewritten before a kill must not guide a decision
        return "verify"
    if progress.has_open_decision:
        return "architect"
    new = progress.closed - progress.reflected_at
    if progress.is_search_over:
        return "reflect" if new > 0 else "confirm"
    loan_over = progress.has_loan and progress.reflected_at < LOAN <= progress.closed
    stalled_at = progress.closed - progress.since_best + STALL
    stalled = progress.reflected_at < stalled_at <= progress.closed and 2 * new >= reflect_every
    if new >= reflect_every or stalled or loan_over or progress.idle >= MAX_IDLE:
        return "reflect"
    return "architect"


def confirm_reserve(budget: Budget, is_noisy: bool) -> int:
    """Returns how many trials of a budget are kept for confirmation; 0 where none can differ."""
    if not is_noisy or budget.trials is None:
        return 0
    return min(math.ceil(CONFIRM_SHARE * budget.trials), MOST_CONFIRMED, budget.trials - 1)


def confirm_seconds(wall_s: float, each: float) -> float:
    """Returns what of a time limit is kept for a round of trainings of `each` seconds."""
    return min(ROUND * each, MOST_KEPT * wall_s)


def search_trials_left(budget: Budget, spent: Spent, is_noisy: bool, each: float = 0.0) -> float:
    """Returns how many more trials the search may open; infinity without a limit on trials.

    Zero once any other limit is used up, times less the share for confirmation. The training that
    uses up a limit on seconds of training is still finished; `each` is what one takes, where
    that is known and real.
    """
    share = 1.0 - CONFIRM_SHARE if is_noisy else 1.0
    if budget.wall_s is not None:
        # What is opened now takes `each`, and then a round must be left.
        rounds = min(each + confirm_seconds(budget.wall_s, each), MOST_KEPT * budget.wall_s)
        kept = max(CONFIRM_SHARE * budget.wall_s, rounds) if is_noisy else 0.0
        if spent.wall_s >= budget.wall_s - kept:
            return 0
    if budget.train_s is not None and (spent.train_s or 0.0) >= share * budget.train_s:
        return 0
    if budget.tokens is not None and spent.tokens >= budget.tokens:
        return 0
    if budget.dollars is not None and spent.dollars >= budget.dollars:
        return 0
    if budget.trials is None:
        return math.inf
    return max(0, budget.trials - confirm_reserve(budget, is_noisy) - spent.trials)


def forced_origins(
    origins: Mapping[Origin, int],
    *,
    explore: float,
    control: float,
    repeats_due: int,
    room: int,
    guided: bool = False,
) -> list[Origin]:
    """Returns the trials that the next decision must hold whatever the architect wants.

    The first design is `INITIAL_DRAWS` uniform draws; then a uniform draw whenever their share
    has fallen below `explore`, a control whenever its own has, and the repeats that are due.
    Where other runs are listened to, their word comes first: uniform draws are trials number
    `GUIDED_DRAWS`, and then pay the share at its end instead of in advance.

    Args:
        origins: of the trials made so far, with their numbers.
        explore: share of uniform draws.
        control: share of the random-search arm.
        repeats_due: of the incumbent.
        room: most trials in the decision.
        guided: whether other runs' trials have a say in this one.
    """
    n_uniform, n_control = origins.get(Origin.EXPLORE, 0), origins.get(Origin.CONTROL, 0)
    if n_uniform < INITIAL_DRAWS and not guided:
        return [Origin.EXPLORE] * min(room, INITIAL_DRAWS - n_uniform)
    total = sum(origins.values()) + room
    share = explore * total
    if guided:
        share = max(math.floor(share), sum(explore > 0 and total >= n for n in GUIDED_DRAWS))
    forced = [Origin.CONTROL] * _owed(n_control, control * total)
    forced += [Origin.EXPLORE] * _owed(n_uniform, share)
    forced += [Origin.REPEAT] * repeats_due
    return forced[:room]


def _owed(have: int, want: float) -> int:
    return max(0, math.ceil(want - have))


def repeats_due(origins: Mapping[Origin, int], verifications: int, is_noisy: bool) -> int:
    """Returns 1 if the incumbent should be trained once more for the noise floor, else 0."""
    return int(is_noisy and origins.get(Origin.REPEAT, 0) < min(verifications, MAX_REPEATS))


def confirm_trials(left: float) -> int:
    """Returns how many trainings confirm the finalists, within `left` trials."""
    return FINALISTS * SEEDS_EACH if math.isinf(left) else min(int(left), MOST_CONFIRMED)
