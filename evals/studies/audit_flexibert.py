"""What an audit of 60 rows cuts, judged by the others.

`python -m vitruvius.evals.studies.audit_flexibert`

From each draw of 60 of FlexiBERT's 301 different networks the audit proposes cuts; it sees no other
row. They are judged by the 241 others: which share of their best tenth is kept, and how much is
removed of the table, of all 2,664 networks, of the 10,621,440 specifications and of what the
space's own sampler draws. Beside it stand rules that a person would try, and the cuts that a run
would license which learned from the same rows.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vitruvius.agents.analyst.audit_cuts import propose_cuts
from vitruvius.evals.statistics import Interval, bootstrap
from vitruvius.graphs.offline.mining_rows import mine
from vitruvius.memory.audit.size import Removed, removed_by
from vitruvius.memory.evidence.effects import licenses_cut
from vitruvius.memory.model.row_selection import as_trials
from vitruvius.memory.records import GivenRow, ResultStatus, Trial
from vitruvius.spaces.rules import RangeCondition, Rule, holds, words
from vitruvius.spaces.space import Architecture, FloatArray
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.tables.table import TabularTask

ROWS = 60
TENTH = 0.10
Arm = Callable[[Sequence[Trial]], list[Rule]]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """The cuts of one draw, judged by the rows that it did not see."""

    rules: tuple[str, ...]
    removed: Removed
    removed_of_table: float
    kept_tenth: float
    kept_best: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Judge:
    """The whole table, of which an arm sees one draw."""

    task: TabularTask
    networks: tuple[Architecture, ...]
    values: FloatArray

    @classmethod
    def of(cls, path: str, metric: str = "glue") -> Judge:
        """Returns the judge of a table; equal networks are one row, with the mean score."""
        task = load_task(f"table:{path},metric={metric}")
        assert isinstance(task, TabularTask)
        found = {one: value for one, (value, _) in task.all_values().items()}
        return cls(
            task=task,
            networks=tuple(found),
            values=task.metric.sign * np.array(list(found.values())),
        )

    def draw(self, seed: int, rows: int = ROWS) -> list[int]:
        """Returns which rows an arm sees, each as likely as the others."""
        order = np.random.default_rng(seed).permutation(len(self.networks))
        return [int(place) for place in order[:rows]]

    def trials(self, seen: Sequence[int]) -> list[Trial]:
        """Returns the rows that are seen, and nothing of the others."""
        return as_trials(
            [
                GivenRow(
                    architecture=self.networks[place],
                    fidelity=self.task.fidelity.key,
                    seed=0,
                    status=ResultStatus.DONE,
                    value=float(self.task.metric.sign * self.values[place]),
                )
                for place in seen
            ]
        )

    def judge(self, seen: Sequence[int], rules: Sequence[Rule]) -> Judged:
        """Returns what rules keep of the rows not seen, and remove of everything."""
        space = self.task.table.space
        features = space.featurise(self.networks)
        kept = np.ones(len(features), dtype=np.bool_)
        for rule in rules:
            kept &= holds(rule, space, features)
        others = np.setdiff1d(np.arange(len(self.networks)), seen)
        ranked = others[np.argsort(-self.values[others], kind="stable")]
        return Judged(
            rules=tuple(words(rule) for rule in rules),
            removed=removed_by(space, rules, [self.networks[place] for place in seen]),
            removed_of_table=float(1 - kept.mean()),
            kept_tenth=float(kept[ranked[: round(TENTH * len(ranked))]].mean()),
            kept_best=float(kept[ranked[0]]),
        )

    def arms(self) -> dict[str, Arm]:
        """Returns the arms by name."""
        space, metric = self.task.table.space, self.task.metric
        depth, middle = _at_least("depth", 4), self._middle_size()
        return {
            "audit": lambda trials: [cut.rule for cut in propose_cuts(space, trials, metric)],
            "what a run may cut": lambda trials: [
                one.version.rule
                for one in mine(space, self.task, trials, 0, lambda: None)
                if licenses_cut(one.evidence)
            ],
            "depth alone": lambda trials: [depth],
            "parameters above the median": lambda trials: [middle],
            "nothing": lambda trials: [],
        }

    def _middle_size(self) -> Rule:
        """Returns the rule that keeps the larger half of the table's networks."""
        space = self.task.table.space
        column = [feature.name for feature in space.features].index("log2_params")
        middle = float(np.median(space.featurise(self.networks)[:, column]))
        return _at_least("log2_params", middle + 1e-9)


def _at_least(feature: str, bound: float) -> Rule:
    return Rule(stance="require", all=(RangeCondition(feature=feature, at_least=bound),))


def perform(judge: Judge, seeds: Sequence[int], rows: int = ROWS) -> dict[str, list[Judged]]:
    """Returns what each arm did in each draw."""
    found: dict[str, list[Judged]] = {name: [] for name in judge.arms()}
    for seed in seeds:
        seen = judge.draw(seed, rows)
        trials = judge.trials(seen)
        for name, arm in judge.arms().items():
            found[name].append(judge.judge(seen, arm(trials)))
    return found


def figures(draws: Sequence[Judged]) -> dict[str, Interval]:
    """Returns means over draws with bootstrap intervals."""
    columns = {
        "removed of the 301": [one.removed_of_table for one in draws],
        "of the 2,664": [one.removed.distinct or 0.0 for one in draws],
        "of the specifications": [one.removed.nominal or 0.0 for one in draws],
        "of the draws": [one.removed.sampler for one in draws],
        "kept of the best tenth": [one.kept_tenth for one in draws],
        "kept the best": [one.kept_best for one in draws],
        "names depth and hidden size": [_names_both(one) for one in draws],
    }
    return {name: bootstrap(np.array(values), "mean") for name, values in columns.items()}


def _names_both(one: Judged) -> float:
    return float(all(any(name in rule for rule in one.rules) for name in ("depth", "hidden")))


def main() -> None:
    """Prints the figures of every arm, and how often each rule was proposed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--table", default="../shared/data/flexibert.json")
    parser.add_argument("--metric", default="glue")
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="file for every draw, as JSON")
    given = parser.parse_args()
    judge = Judge.of(given.table, given.metric)
    seeds = range(given.first_seed, given.first_seed + given.draws)
    found = perform(judge, seeds, given.rows)
    for name, draws in found.items():
        print(f"\n{name}")
        for figure, mean in figures(draws).items():
            print(f"  {figure:<28} {mean.value:6.1%}  ({mean.low:.1%} to {mean.high:.1%})")
        counted = Counter(rule for one in draws for rule in one.rules)
        for rule, count in counted.most_common(6):
            print(f"    {count:>3} x {rule}")
    if given.out is not None:
        raw = {name: [_plain(one) for one in draws] for name, draws in found.items()}
        given.out.write_text(json.dumps(raw), encoding="utf-8")


def _plain(one: Judged) -> dict[str, object]:
    return {
        "rules": one.rules,
        "removed_of_table": one.removed_of_table,
        "removed_of_distinct": one.removed.distinct,
        "removed_of_specifications": one.removed.nominal,
        "removed_of_draws": one.removed.sampler,
        "kept_tenth": one.kept_tenth,
        "kept_best": one.kept_best,
    }


if __name__ == "__main__":
    main()
