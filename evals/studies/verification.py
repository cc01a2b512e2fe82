"""Whether the evidence is honest: `python -m vitruvius.evals.studies.verification --table PATH`.

Runs the analyst through the real graph on NAS-Bench-201, where the truth is known, with three
rules planted that mean nothing (hashes of the architecture as features), and compares what was
claimed with the truth: coverage of the intervals, signs of the supported, null rules ever
supported, share of the best 1 % that the cuts kept after each verification. With `--start` the
run has something to recall, right or misleading; the same must hold.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from scipy.special import ndtri

from vitruvius.agents.analyst.analyst import Analyst
from vitruvius.agents.analyst.edits import propose_edits
from vitruvius.agents.chairs.view import Rewrite, RunView
from vitruvius.evals.oracle import Truth
from vitruvius.evals.searches import run_search
from vitruvius.evals.wrong_cuts import wrong_rule
from vitruvius.graphs.search.prune import EVIDENCE
from vitruvius.memory.edits import Add, Edit, Merge
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import CutRecord, Standing
from vitruvius.spaces.cells.cell import Cell
from vitruvius.spaces.rules import RangeCondition, Rule, SlotCondition, holds
from vitruvius.spaces.space import Architecture, BoolArray, Feature, FloatArray
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.tables.recorded import Recorded
from vitruvius.tasks.tables.table import TabularTask

# A few classes hold much of the sampler's mass, so most coins have a real effect, up to 0.2. These
# salts of 400 give coins whose true effect is below 0.02 on all three datasets.
SALTS = (106, 132, 225)
NULLS = len(SALTS)
COINS = tuple(
    Rule(stance="require", all=(RangeCondition(feature=f"coin_{i}", at_least=1),))
    for i in range(NULLS)
)
METRICS = ("c10", "c100", "in16")
PLANTER = "null"
SOURCE_SEEDS = 100_000  # offset: a source's seed is never that of a run that learns from it

# What a run starts with: nothing; provisional cuts that remove, or keep, all of the best; what a
# run on another dataset knows, or one on the same with its scores turned round.
Start = Literal["cold", "wrong", "right", "recalled", "inverted"]


class PlantedCell(Cell):
    """The cell with further features that are coin flips by hash: no rule on them is true."""

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """The cell's features and `NULLS` coins."""
        coins = [
            Feature(name=f"coin_{i}", kind="bool", description="a coin flip") for i in range(NULLS)
        ]
        return (*super().features, *coins)

    def _check(self) -> None:
        """Lets the coins pass the limit on features."""

    def featurise(self, architectures: Sequence[Architecture]) -> FloatArray:
        """Returns the feature matrix [N, F]."""
        coins = [[_coin(a, salt) for salt in SALTS] for a in map(self.canonical, architectures)]
        return np.hstack([super().featurise(architectures), np.array(coins).reshape(-1, NULLS)])


@lru_cache(maxsize=100_000)
def _coin(architecture: Architecture, salt: int) -> float:
    return float(hashlib.sha256(f"{salt}{architecture.text}".encode()).digest()[0] % 2)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One measurement of one version beside the truth."""

    metric: str
    seed: int
    trials: int
    author: str
    rule: str
    principle: int
    version: int
    standing: str
    effect: float
    low: float
    high: float
    truth: float


@dataclass(frozen=True, kw_only=True)
class Verified:
    """One run: its claims, and the share of the best 1 % in its region after each reflection."""

    claims: list[Claim]
    retained: list[float]
    kept: list[float]  # share of the space
    flaps: int = 0  # cuts that came back after evidence had undone them


@dataclass(frozen=True, kw_only=True, eq=False)
class Field:
    """The members' features, weights under the sampler, normal scores and the best 1 %."""

    truth: Truth
    features: FloatArray
    weights: FloatArray
    scores: FloatArray
    top: FloatArray  # weights of the best 1 %, summing to one

    def effect(self, rule: Rule) -> float:
        """Returns the rule's true mean contrast under the sampler, by brute force."""
        met = holds(rule, self.truth.space, self.features)
        inner, outer = self.weights[met], self.weights[~met]
        if not len(inner) or not len(outer):
            return 0.0
        return float(
            np.average(self.scores[met], weights=inner)
            - np.average(self.scores[~met], weights=outer)
        )


@lru_cache(maxsize=4)
def field_of(table: str, metric: str) -> Field:
    """Returns the truth on a table."""
    task = load_task(f"table:{table},metric={metric}")
    assert isinstance(task, TabularTask)
    space = PlantedCell()
    truth = Truth.of(space, task)
    members = list(truth.values)
    places = {architecture: i for i, architecture in enumerate(members)}
    weights = np.zeros(len(members))
    for drawn in _every_draw(space):
        weights[places[drawn]] += 1
    weights /= weights.sum()
    values = np.array([truth.values[a][0] for a in members])
    order = np.argsort(values, kind="stable")
    below = np.empty(len(members))
    below[order] = np.cumsum(weights[order]) - weights[order] / 2
    best = order[::-1]
    inside = np.cumsum(weights[best]) <= 0.01
    top = np.zeros(len(members))
    top[best[inside]] = weights[best[inside]] / weights[best[inside]].sum()
    return Field(
        truth=truth,
        features=space.featurise(members),
        weights=weights,
        scores=ndtri(np.clip(below, 1e-6, 1 - 1e-6)),
        top=top,
    )


def _every_draw(space: Cell) -> list[Architecture]:
    """Returns what the sampler may draw, each as often as it would."""
    names = [slot.name for slot in space.slots]
    combinations = itertools.product(*(slot.names for slot in space.slots))
    specs = (dict(zip(names, chosen, strict=True)) for chosen in combinations)
    return [space.canonical(Architecture.of(spec)) for spec in specs]


class Planting:
    """The analyst as theorist, who must hold rules that mean nothing and may not drop them."""

    def __init__(self) -> None:
        self._is_planted = False

    async def rewrite(self, view: RunView) -> Rewrite:
        """Returns the analyst's edits, less those of planted principles; the coins before all."""
        planted = {f"P{p.version.principle}" for p in view.principles if is_planted(p.version.rule)}
        edits = [edit for edit in propose_edits(view) if not planted & set(_touched(edit))]
        if not self._is_planted:
            self._is_planted = True
            edits = [
                Add(statement="a coin", rule=rule, rationale="a coin") for rule in COINS
            ] + edits
        return Rewrite(edits=edits, author="analyst")


def is_planted(rule: Rule) -> bool:
    """Returns whether a rule is about a coin."""
    return any(not isinstance(c, SlotCondition) and "coin_" in c.feature for c in rule.all)


def _touched(edit: Edit) -> tuple[str, ...]:
    if isinstance(edit, Merge):
        return edit.principles
    return () if isinstance(edit, Add) else (edit.principle,)


def verify(table: str, metric: str, seed: int, queries: int, start: Start = "cold") -> Verified:
    """Returns one run's claims beside the truth; a pure function of its arguments."""
    field = field_of(table, metric)
    space, task = field.truth.space, field.truth.task
    with Ledger.in_memory() as ledger:
        cuts = _begin(ledger, field, start, seed, queries)
        chairs = (Analyst(), Planting())
        found = run_search(
            space, task, queries=queries, seed=seed, chairs=chairs, cuts=cuts, ledger=ledger
        )
        names = {(e.principle, e.version): f"P{e.principle}.{e.version}" for e in found.evidence}
        versions = {key: ledger.principles.version(name) for key, name in names.items()}
        looks = [mark.data for mark in ledger.steps.marks(found.run.id, "verified")]
    claims = [
        Claim(
            metric=metric,
            seed=seed,
            trials=evidence.up_to,
            author=PLANTER if is_planted(version.rule) else version.author,
            rule=version.rule.key,
            principle=version.principle,
            version=version.version,
            standing=evidence.standing.value,
            effect=evidence.effect,
            low=evidence.low,
            high=evidence.high,
            truth=field.effect(version.rule),
        )
        for evidence in found.evidence
        for version in (versions[evidence.principle, evidence.version],)
    ]
    inside = [_inside(field, found.cuts, int(look["step"])) for look in looks]
    return Verified(
        claims=claims,
        retained=[float(field.top[mask].sum()) for mask in inside],
        kept=[float(field.weights[mask].sum()) for mask in inside],
        flaps=flaps(found.cuts),
    )


def _begin(ledger: Ledger, field: Field, start: Start, seed: int, queries: int) -> list[Rule]:
    """Fills the memory that a run starts with; returns rules that it is to be cut by at once."""
    space, task = field.truth.space, field.truth.task
    if start in ("wrong", "right"):
        wrong = wrong_rule(field.truth, seed)
        stance = "require" if wrong.stance == "avoid" else "avoid"
        return [wrong if start == "wrong" else wrong.model_copy(update={"stance": stance})]
    if start != "cold":
        source = _inverted(task) if start == "inverted" else _neighbour(task)
        run_search(space, source, queries=queries, seed=seed + SOURCE_SEEDS, ledger=ledger)
    return []


def _inverted(task: TabularTask) -> TabularTask:
    """Returns a task on which the worst architectures are the best."""
    columns = {
        epochs: replace(recorded, value=-recorded.value)
        for epochs, recorded in task.table.by_epochs.items()
        if isinstance(recorded, Recorded)
    }
    return TabularTask(table=replace(task.table, task="inverted", by_epochs=columns), ref="")


def _neighbour(task: TabularTask) -> TabularTask:
    """Returns the task of another dataset of the same table."""
    metric = METRICS[METRICS.index(task.name) - 1]
    other = load_task(task.ref.replace(f"metric={task.name}", f"metric={metric}"))
    assert isinstance(other, TabularTask)
    return other


def _inside(field: Field, cuts: Sequence[CutRecord], step: int) -> BoolArray:
    """Returns which members the cuts in force from a step on leave."""
    mask = np.ones(len(field.weights), dtype=np.bool_)
    for cut in cuts:
        if cut.made_step <= step and (cut.undone_step is None or cut.undone_step > step):
            mask &= holds(cut.rule, field.truth.space, field.features)
    return mask


def flaps(cuts: Sequence[CutRecord]) -> int:
    """Returns how many cuts came back after evidence had undone them."""
    undone = [cut for cut in cuts if cut.undone_by == EVIDENCE]
    return sum(
        any(c.rule.key == cut.rule.key and c.number > cut.number for c in cuts) for cut in undone
    )


def summarise(runs: Sequence[Verified]) -> dict[str, Any]:
    """Returns the figures that say whether the evidence is honest."""
    claims = [claim for run in runs for claim in run.claims]
    active = [c for c in claims if c.standing == Standing.SUPPORTED and c.author != PLANTER]
    nulls = {(c.metric, c.seed, c.principle) for c in claims if c.author == PLANTER}
    risen = {
        (c.metric, c.seed, c.principle)
        for c in claims
        if c.author == PLANTER and c.standing == Standing.SUPPORTED
    }
    retained = np.array([value for run in runs for value in run.retained])
    final = np.array([run.retained[-1] for run in runs])
    return {
        "runs": len(runs),
        "claims": len(claims),
        "coverage": float(np.mean([c.low <= c.truth <= c.high for c in claims])),
        "width": float(np.median([c.high - c.low for c in claims])),
        "supported": len(active),
        "supported_per_run_at_end": len(
            [c for c in active if c.trials == max(x.trials for x in claims)]
        )
        / len(runs),
        "wrong_signs": float(np.mean([c.truth <= 0 for c in active])) if active else 0.0,
        "nulls_ever_supported": len(risen) / max(len(nulls), 1),
        "retained_mean": float(retained.mean()),
        "retained_q05": float(np.quantile(retained, 0.05)),
        "retained_min": float(retained.min()),
        "retained_at_end": float(final.mean()),
        "runs_below_95_at_end": float((final < 0.95).mean()),
        "kept_at_end": float(np.mean([run.kept[-1] for run in runs])),
        "flaps_per_run": float(np.mean([run.flaps for run in runs])),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the program."""
    parser = argparse.ArgumentParser(prog="verification", description=__doc__)
    parser.add_argument("--table", required=True, help="path of nas_bench_201.parquet")
    parser.add_argument("--seeds", type=int, default=17, help="runs per metric")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--metrics", nargs="+", default=list(METRICS), choices=METRICS)
    parser.add_argument("--start", default="cold", choices=get_args(Start), help="what is told")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("verification"), help="folder to write")
    given = parser.parse_args(arguments)
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    jobs = [(given.table, m, s, given.queries, given.start) for m in given.metrics for s in seeds]
    with ProcessPoolExecutor(max_workers=given.processes) as pool:
        runs = list(pool.map(verify, *zip(*jobs, strict=True)))
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "results.json").write_text(json.dumps([asdict(run) for run in runs]))
    figures = summarise(runs)
    (given.out / "summary.json").write_text(json.dumps(figures, indent=1) + "\n")
    for name, value in figures.items():
        print(f"{name:26s} {value:.3f}" if isinstance(value, float) else f"{name:26s} {value}")


if __name__ == "__main__":
    main()
