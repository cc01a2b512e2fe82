"""One job: one arm on one case with one seed. A pure function of the job, but for its times."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vitruvius.evals.arms.oracle import Oracle, Spent
from vitruvius.evals.arms.registry import Arm, Given, find_arm
from vitruvius.evals.cases import Built, Case, SourceSpec, build
from vitruvius.evals.hypervolume import found_share
from vitruvius.evals.outcomes import Outcome, hit_of, steps_of, trace_of
from vitruvius.memory.transfer.sources import Source
from vitruvius.spaces.space import Architecture

GOOD_SHARE, FEWEST_GOOD, MOST_GOOD = 0.1, 5, 50


@dataclass(frozen=True, kw_only=True)
class Job:
    """One search to be made, as plain data that travels to other processes."""

    case: Case
    arm: str
    seed: int
    data: Path


def jobs_of(case: Case, arms: Sequence[Arm], seeds: Sequence[int], data: Path) -> list[Job]:
    """Returns the jobs of a case; of one without sources for an arm that does not listen."""
    return [
        Job(case=case if arm.hears else case.blind(), arm=arm.name, seed=seed, data=data)
        for arm in arms
        for seed in seeds[: arm.most_seeds]
    ]


def run_job(job: Job) -> Outcome:
    """Returns what the search came to.

    Raises:
        ConfigError: if a table, a space or an arm is not there.
    """
    built = build(job.case, job.data, job.seed)
    wall, cpu = time.perf_counter(), time.process_time()
    oracle = search(job, built)
    trade_off = job.case.trade_off
    return Outcome(
        arm=job.arm,
        case=job.case.key,
        seed=job.seed,
        queries=job.case.queries,
        paid=oracle.answers[-1].cost if oracle.answers else 0.0,
        hit=hit_of(oracle),
        steps=steps_of(oracle),
        best=built.truth.best,
        scale=built.truth.scale,
        trace=trace_of(oracle),
        cpu_s=round(time.process_time() - cpu, 4),
        wall_s=round(time.perf_counter() - wall, 4),
        extra=oracle.notes | ({"hypervolume": found_share(oracle, trade_off)} if trade_off else {}),
    )


def search(job: Job, built: Built) -> Oracle:
    """Lets the arm search until all is paid; returns what it asked."""
    case = job.case
    oracle = Oracle(built.truth, case.queries, seed=job.seed, stop_at_hit=case.stop_at_hit)
    with suppress(Spent):
        find_arm(job.arm).run(_given(job, built, oracle))
    return oracle


def _given(job: Job, built: Built, oracle: Oracle) -> Given:
    specs = zip(job.case.sources, built.sources, strict=True)
    return Given(
        space=built.truth.space,
        oracle=oracle,
        seed=job.seed,
        sources=built.sources,
        good=[_good(spec, source) for spec, source in specs],
        cuts=built.cuts,
    )


def _good(spec: SourceSpec, source: Source) -> list[Architecture]:
    """Returns the good architectures of a source, best first."""
    known = [trial for trial in source.trials if trial.value is not None]
    values = source.metric.sign * np.array([trial.value for trial in known])
    is_chosen = spec.kind == "top" or spec.best is not None
    count = len(known) if is_chosen else max(FEWEST_GOOD, round(GOOD_SHARE * len(known)))
    order = np.argsort(-values, kind="stable")[: min(count, MOST_GOOD)]
    return [known[place].architecture for place in order.tolist()]
