"""Whether the evidence is honest: `python -m vitruvius.evals.verification --table PATH`.

Runs the analyst with principles and cuts on NAS-Bench-201, where the truth is known, with three
rules planted that mean nothing (hashes of the architecture as features), and compares what was
claimed with the truth: coverage of the intervals, signs of the supported, null rules ever
supported, share of the best 1 % that the cuts kept.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import ndtri

from vitruvius.agents.rewriting import propose_edits
from vitruvius.evals.arena import Arena
from vitruvius.evals.book import Book
from vitruvius.evals.oracle import Oracle, Truth
from vitruvius.memory.records import Standing
from vitruvius.spaces.cell import Cell
from vitruvius.spaces.region import Region
from vitruvius.spaces.rules import RangeCondition, Rule, holds
from vitruvius.spaces.space import Architecture, Feature, FloatArray
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.table import TabularTask

# A few classes hold much of the sampler's mass, so most coins have a real effect, up to 0.2. These
# salts of 400 give coins whose true effect is below 0.02 on all three datasets.
SALTS = (106, 132, 225)
NULLS = len(SALTS)
REFLECT_EVERY = 8
PLANTER = "null"


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


def verify(table: str, metric: str, seed: int, queries: int) -> Verified:
    """Returns one run's claims beside the truth; a pure function of its arguments."""
    field = field_of(table, metric)
    space, task = field.truth.space, field.truth.task
    arena = Arena(space, task, Oracle(field.truth, queries), seed, Region(space))
    book = Book(space, task.metric, "arena")
    for i in range(NULLS):
        rule = Rule(stance="require", all=(RangeCondition(feature=f"coin_{i}", at_least=1),))
        book.write(rule, "a coin", PLANTER)
    nulls = dict(book.live)
    claims: list[Claim] = []
    retained: list[float] = []
    kept: list[float] = []
    while len(arena.trials) < queries:
        arena.step()
        if len(arena.trials) % REFLECT_EVERY:
            continue
        book.apply(propose_edits(arena.view()), "analyst")
        book.live.update(nulls)  # planted rules stay, whatever the theorist thinks of them
        before = len(book.history)
        book.verify(arena.trials)
        arena.principles = book.views()
        arena.region = book.region()
        inside = arena.region.mask(field.features)
        retained.append(float(field.top[inside].sum()))
        kept.append(float(field.weights[inside].sum()))
        for version, evidence in book.history[before:]:
            claims.append(
                Claim(
                    metric=metric,
                    seed=seed,
                    trials=len(arena.trials),
                    author=version.author,
                    rule=version.rule.key,
                    principle=version.principle,
                    version=version.version,
                    standing=evidence.standing.value,
                    effect=evidence.effect,
                    low=evidence.low,
                    high=evidence.high,
                    truth=field.effect(version.rule),
                )
            )
    return Verified(claims=claims, retained=retained, kept=kept)


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
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the program."""
    parser = argparse.ArgumentParser(prog="verification", description=__doc__)
    parser.add_argument("--table", required=True, help="path of nas_bench_201.parquet")
    parser.add_argument("--seeds", type=int, default=17, help="runs per metric")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--metrics", nargs="+", default=["c10", "c100", "in16"])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("verification"), help="folder to write")
    given = parser.parse_args(arguments)
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    jobs = [(given.table, m, s, given.queries) for m in given.metrics for s in seeds]
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
