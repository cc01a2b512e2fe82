"""What searches came to: one line each, in one file per case and arm.

Lines are appended whole, by one process. A line that a kill cut off is dropped when the file is
opened again, and its search is made again.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from vitruvius.evals.cases import Case
from vitruvius.evals.oracle import Answer, Oracle, Truth
from vitruvius.spaces.space import Architecture
from vitruvius.tasks.task import known_costs


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


def hypervolume(
    points: Iterable[tuple[float, float]], least_value: float, most_cost: float
) -> float:
    """Returns the area that points (value, cost) dominate, up to a reference point.

    More is better in values, less in costs. Points beyond the reference add nothing.
    """
    inside = sorted((cost, value) for value, cost in points if cost < most_cost)
    area, highest = 0.0, least_value
    for cost, value in inside:
        if value > highest:
            area += (value - highest) * (most_cost - cost)
            highest = value
    return area


def found_share(oracle: Oracle, cost: str) -> float:
    """Returns the hypervolume of what was asked, as a share of that of all members.

    Reference: the median row by validation, and the highest cost of a member.
    """
    truth = oracle.truth
    costs = member_costs(truth, cost)
    least, most = float(np.median(truth.rows)), max(costs.values())
    whole = hypervolume(((truth.values[a][0], c) for a, c in costs.items()), least, most)
    asked = [a for a in oracle.asked if a in costs]
    return hypervolume(((truth.values[a][0], costs[a]) for a in asked), least, most) / whole


def member_costs(truth: Truth, cost: str) -> dict[Architecture, float]:
    """Returns a cost of every member that has one."""
    known = {a: known_costs(truth.task, a).get(cost) for a in truth.values}
    return {a: value for a, value in known.items() if value is not None}


class Store:
    """The raw results under a folder.

    A case's folder is named by its key and a hash of all of it: results of a case that was
    changed since are left alone.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, case: Case, arm: str) -> Path:
        """Returns where the results of an arm on a case are."""
        digest = hashlib.sha256(repr(case).encode()).hexdigest()[:8]
        return self.folder / "raw" / f"{_slug(case.key)}-{digest}" / f"{_slug(arm)}.jsonl"

    def read(self, case: Case, arm: str) -> dict[int, Outcome]:
        """Returns the finished searches by seed; the first of a seed counts."""
        path = self.path(case, arm)
        found: dict[int, Outcome] = {}
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            for line in text[: text.rfind("\n") + 1].splitlines():
                outcome = Outcome.read(line)
                found.setdefault(outcome.seed, outcome)
        return found

    def append(self, case: Case, arm: str, outcome: Outcome) -> None:
        """Writes one finished search."""
        path = self.path(case, arm)
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:  # one write: a kill leaves whole lines but for the last
            os.write(descriptor, f"{outcome.line()}\n".encode())
        finally:
            os.close(descriptor)

    def mend(self, keys: Iterable[tuple[Case, str]]) -> None:
        """Cuts off what a kill left of a last line."""
        for case, arm in keys:
            path = self.path(case, arm)
            if path.is_file():
                whole = path.read_bytes()
                end = whole.rfind(b"\n") + 1
                if end < len(whole):
                    os.truncate(path, end)


def _slug(name: str) -> str:
    return re.sub(r"[^\w.=-]+", "_", name).strip("_")
