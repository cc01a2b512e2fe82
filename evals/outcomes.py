"""What one search came to, as one line of a file."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field

from vitruvius.evals.arms.oracle import Answer, Oracle, Truth


@dataclass(frozen=True, kw_only=True)
class Step:
    """The best by validation changed. More is better in `value` and `test`."""

    cost: float  # paid up to then, in full trainings: a query's number where all are full
    value: float  # validation, of the table
    test: float
    rank: int  # among the table's rows, by validation
    fresh: float  # mean validation of the recorded runs that the search did not see


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One search. `hit` is what was paid when the best 0.1 % was reached, None if it never was."""

    arm: str
    case: str
    seed: int
    queries: int
    paid: float
    hit: float | None
    steps: tuple[Step, ...]
    best: float  # validation of the table's best row
    scale: float  # the distance from the median row to the best
    trace: str  # a hash of what was asked, in order
    cpu_s: float
    wall_s: float
    extra: dict[str, float] = field(default_factory=dict)

    def line(self) -> str:
        """Returns the outcome as one line of JSON."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def read(cls, line: str) -> Outcome:
        """Returns the outcome of a line."""
        raw = json.loads(line)
        return cls(**{**raw, "steps": tuple(Step(**step) for step in raw["steps"])})

    def step_at(self, cost: float) -> Step | None:
        """Returns the best by validation once so much is paid."""
        found = [step for step in self.steps if step.cost <= cost + 1e-9]
        return found[-1] if found else None

    def regret_at(self, cost: float) -> float:
        """Returns how far the best validation value is above that of the chosen one."""
        step = self.step_at(cost)
        return math.nan if step is None else self.best - step.value

    def capped_hit(self, cap: float) -> float:
        """Returns the hit, or one more than the cap where there is none up to it."""
        return cap + 1 if self.hit is None or self.hit > cap else self.hit


def steps_of(oracle: Oracle) -> tuple[Step, ...]:
    """Returns how the chosen one changed: the best of the values that the arm saw."""
    steps: list[Step] = []
    highest = -math.inf
    for answer in oracle.answers:
        if answer.is_full and answer.value > highest:
            highest = answer.value
            steps.append(_step(oracle.truth, answer))
    return tuple(steps)


def hit_of(oracle: Oracle) -> float | None:
    """Returns what was paid when one of the best 0.1 % had been trained in full."""
    values, threshold = oracle.truth.values, oracle.truth.threshold
    hits = (a.cost for a in oracle.answers if a.is_full and values[a.architecture][0] >= threshold)
    return next(hits, None)


def trace_of(oracle: Oracle) -> str:
    """Returns a hash of what was asked, in order."""
    places = {a: place for place, a in enumerate(oracle.truth.values)}
    asked = [[places[a.architecture], a.is_full] for a in oracle.answers]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]


def _step(truth: Truth, answer: Answer) -> Step:
    value, test = truth.values[answer.architecture]
    return Step(
        cost=round(answer.cost, 4),
        value=value,
        test=test,
        rank=truth.rank(value),
        fresh=truth.fresh(answer.architecture, answer.value),
    )
