"""A table as something to search: values paid one by one, and what an outsider knows of them."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from vitruvius.spaces.pool import Pool
from vitruvius.spaces.space import Architecture, FloatArray, SearchSpace
from vitruvius.tasks.tables.table import TableRow, TabularTask, top_rank
from vitruvius.tasks.task import Constraints, Fidelity, known_costs

RUNS = 6  # seeds that meet every recorded run, whether there are one, two or three


class Spent(BaseException):
    """The queries are used up. No `Exception`: a handler inside an arm must not swallow it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Truth:
    """Everything about a table that an outsider knows; more is better in every figure.

    `rows` are the validation values as recorded, twins included, in rising order: ranks and the
    threshold count them. `values` hold validation and test of the canonical members.
    """

    space: SearchSpace
    task: TabularTask
    values: Mapping[Architecture, tuple[float, float]]
    rows: FloatArray
    cheap: Mapping[Architecture, float] | None = None  # after a short training, where there is one
    cheap_cost: float = 0.0  # of it, in full trainings: simulated seconds, medians
    cheap_fidelity: Fidelity | None = None

    @classmethod
    def of(cls, space: SearchSpace, task: TabularTask) -> Truth:
        """Returns what the table says of the members of the space."""
        sign, limits = task.metric.sign, task.constraints
        values = {
            a: (sign * v, sign * t) for a, (v, t) in task.all_values().items() if not math.isnan(v)
        }
        rows = sign * task.raw_rows()[0]
        whole = cls(space=space, task=task, values=values, rows=np.sort(rows[~np.isnan(rows)]))
        if not limits.limits:
            return whole
        # an optimum beyond the limits is nobody's: ranks are among what is allowed
        kept = [a for a in values if limits.violation(**known_costs(task, a)) is None]
        return replace(whole._only(kept), space=space)

    @property
    def threshold(self) -> float:
        """Validation value of the best 0.1 % of rows: the 16th of 15,625."""
        return float(self.rows[-top_rank(len(self.rows))])

    @property
    def best(self) -> float:
        """Validation value of the best row."""
        return float(self.rows[-1])

    @property
    def scale(self) -> float:
        """What a regret is a share of: the distance from the median row to the best."""
        return float(self.best - np.median(self.rows))

    def rank(self, value: float) -> int:
        """Returns 1 + the number of rows that are better than a validation value."""
        return 1 + len(self.rows) - int(np.searchsorted(self.rows, value, side="right"))

    def fresh(self, architecture: Architecture, seen: float) -> float:
        """Returns the mean validation value of the recorded runs other than the one seen.

        Where no single run is recorded, that is the mean.
        """
        value = self.values[architecture][0]
        if not self.task.is_noisy:
            return value
        sign, fidelity = self.task.metric.sign, self.task.fidelity
        runs = [sign * self.task.lookup(architecture, fidelity, i).value for i in range(RUNS)]
        others = sorted(set(runs) - {seen})  # recorded runs are told apart by their values alone
        return float(np.mean(others)) if others else value

    def inverted(self) -> Truth:
        """Returns the same table with the order of its scores turned round."""
        turned = {a: (-v, -t) for a, (v, t) in self.values.items()}
        return replace(self, values=turned, rows=np.sort(-self.rows))

    def with_cheap(self, epochs: int, shuffle: np.random.Generator | None = None) -> Truth:
        """Returns the table with its short trainings; shuffled ones tell nothing."""
        task = self.task
        short, full = Fidelity(epochs=epochs), task.fidelity
        cheap = {a: task.metric.sign * task.lookup(a, short, 0).value for a in self.values}
        if shuffle is not None:
            dealt = shuffle.permutation(list(cheap.values())).tolist()
            cheap = dict(zip(cheap, dealt, strict=True))
        cost = task.fidelities[short] / task.fidelities[full]
        return replace(self, cheap=cheap, cheap_cost=cost, cheap_fidelity=short)

    def halved(self, seed: int) -> Truth:
        """Returns a random half of the members as a pool, with the rows that answer for them."""
        members = list(self.values)
        # a stream of its own: the same seed gives the arm its draws
        chosen = np.random.default_rng([seed, *b"half"]).permutation(len(members))
        kept = [members[place] for place in np.sort(chosen[: len(members) // 2]).tolist()]
        return self._only(kept)

    def _only(self, kept: list[Architecture]) -> Truth:
        values = {a: self.values[a] for a in kept}
        chosen = set(kept)
        raw = self.task.metric.sign * self.task.raw_rows()[0]
        # rows, not members: a cell that was recorded twice counts twice in ranks
        rows = [
            raw[row]
            for written, row in self.task.table.index.items()
            if self.space.canonical(written) in chosen
        ]
        return replace(self, space=Pool(self.space, kept), values=values, rows=np.sort(rows))


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One paid answer: what was asked, what was said, what all answers so far cost."""

    architecture: Architecture
    value: float  # as the arm saw it; more is better
    is_full: bool  # after a full training
    cost: float  # sum so far, in full trainings


@dataclass(eq=False)
class Oracle:
    """Answers until `queries` full trainings are paid; the same question again is free.

    The truth is nobody's business but the oracle's: an arm has `ask` and `lookup` only.
    """

    truth: Truth
    queries: float
    seed: int = 0  # of a recorded run, where answers are single runs
    stop_at_hit: bool = False
    answers: list[Answer] = field(default_factory=list)
    notes: dict[str, float] = field(default_factory=dict)  # what an arm tells of itself
    _known: dict[tuple[Architecture, int, bool], float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def asked(self) -> dict[Architecture, float]:
        """What was paid in full, first asked first."""
        full: dict[Architecture, float] = {}
        for answer in self.answers:
            if answer.is_full:
                full.setdefault(answer.architecture, answer.value)
        return full

    def ask(
        self, architecture: Architecture, *, seed: int | None = None, is_full: bool = True
    ) -> float:
        """Returns the validation value; -infinity, at no cost, of what the table cannot train.

        Raises:
            Spent: if this would be more than is left, or the search has reached its aim.
        """
        if architecture not in self.truth.values:
            return -math.inf
        key = (architecture, self.seed if seed is None else seed, is_full)
        if not self.truth.task.is_noisy:  # a mean is the same for every seed
            key = (architecture, 0, is_full)
        with self._lock:  # a batch is looked up in threads
            if key not in self._known:
                self._pay(*key)
            return self._known[key]

    def _pay(self, architecture: Architecture, seed: int, is_full: bool) -> None:
        cost = 1.0 if is_full else self.truth.cheap_cost
        paid = self.answers[-1].cost if self.answers else 0.0
        # 1e-9: short trainings are fractions, and their sum is not exact
        if paid + cost > self.queries + 1e-9 or (self.stop_at_hit and self._has_hit()):
            raise Spent
        value = self._value(architecture, seed, is_full)
        self._known[architecture, seed, is_full] = value
        self.answers.append(
            Answer(architecture=architecture, value=value, is_full=is_full, cost=paid + cost)
        )

    def _value(self, architecture: Architecture, seed: int, is_full: bool) -> float:
        truth = self.truth
        if not is_full:
            assert truth.cheap is not None, "this table has no short trainings"
            return truth.cheap[architecture]
        if truth.task.is_noisy:
            row = truth.task.lookup(architecture, truth.task.fidelity, seed)
            return truth.task.metric.sign * row.value
        return truth.values[architecture][0]

    def _has_hit(self) -> bool:
        # the earlier ones were looked at when they were the last
        last = self.answers[-1] if self.answers else None
        return (
            last is not None
            and last.is_full
            and self.truth.values[last.architecture][0] >= self.truth.threshold
        )


class PaidTask:
    """The target as a task: it describes itself for nothing and answers through an oracle.

    Costs are free and can be hidden. A value is paid, and a test value is never told.
    """

    def __init__(
        self,
        oracle: Oracle,
        *,
        tells_costs: bool = True,
        fidelity: Fidelity | None = None,
        constraints: Constraints | None = None,
    ) -> None:
        """Makes the task; fidelity and limits are those of the table where none are given."""
        task = oracle.truth.task
        self._oracle = oracle
        self._tells_costs = tells_costs
        self._full = task.fidelity
        self.name = task.name
        # results of short trainings must not be found again as those of full ones
        self.id = task.id if fidelity is None else f"{task.id}-{fidelity.key}"
        self.ref = task.ref
        self.metric = task.metric
        self.constraints = constraints or task.constraints
        self.fidelity = fidelity or task.fidelity
        self.is_noisy = task.is_noisy
        self.describe = task.describe

    def costs(self, architecture: Architecture) -> Mapping[str, float] | None:
        """Returns what is known beforehand: parameters, FLOPs, latency."""
        return self._oracle.truth.task.costs(architecture) if self._tells_costs else None

    def lookup(self, architecture: Architecture, fidelity: Fidelity, seed: int) -> TableRow:
        """Returns the paid value, and the costs that everybody knows."""
        value = self._oracle.ask(architecture, seed=seed, is_full=fidelity == self._full)
        row = self._oracle.truth.task.lookup(architecture, fidelity, 0)
        # no test value leaves the oracle: nothing may be chosen by it
        row = replace(row, value=self.metric.sign * value, test=None)
        return row if self._tells_costs else replace(row, params=None, flops=None)
