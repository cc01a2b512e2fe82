"""What is read off outcomes: tables of text, one function per reading."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vitruvius.evals.cases import Case
from vitruvius.evals.outcomes import Outcome
from vitruvius.evals.protocols import Protocol, Reading
from vitruvius.evals.statistics import Interval, bootstrap, non_inferiority, ratio_of_means
from vitruvius.spaces.space import FloatArray

MARGIN = 0.02  # of normalised regret, that still counts as no worse
OURS = "transfer"

# Thresholds of LAPT's script: top 0.1 % and optimum by validation, as typed there.
LAPT_CONSTANTS = {"c10": (91.42, 91.60), "c100": (72.72, 73.49)}

BySeed = Mapping[int, Outcome]
Outcomes = Mapping[Case, Mapping[str, BySeed]]


@dataclass(frozen=True, kw_only=True)
class Table:
    """Text in rows and columns."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def tables_of(protocol: Protocol, outcomes: Outcomes) -> list[Table]:
    """Returns the tables of a protocol."""
    readings: dict[Reading, Callable[[Protocol, Outcomes], list[Table]]] = {
        "queries": _queries,
        "rank": _ranks,
        "lapt": _lapt,
        "labels": _labels,
        "hypervolume": _hypervolumes,
    }
    return readings[protocol.reading](protocol, outcomes)


def capped(found: BySeed, cap: float) -> FloatArray:
    """Returns the queries to the hit by seed, censored ones as one more than the cap."""
    return np.array([found[seed].capped_hit(cap) for seed in sorted(found)])


def _queries(protocol: Protocol, outcomes: Outcomes) -> list[Table]:
    columns = (
        "case", "arm", "seeds", "median", "90 %", "95 %", "reached", "mean",
        f"ratio to {protocol.control}", "regret", "fresh", "test", "CPU s",
    )  # fmt: skip
    rows = []
    for case, arms in outcomes.items():
        control = arms.get(protocol.control, {})
        for arm, found in arms.items():
            rows.append((case.name, arm, *_query_cells(case, found, control)))
    return [Table(title="", columns=columns, rows=rows)]


def _query_cells(case: Case, found: BySeed, control: BySeed) -> tuple[str, ...]:
    hits = capped(found, case.queries)
    shared = sorted(set(found) & set(control))
    ratio = "-"
    if shared and found is not control:
        mine, theirs = (
            capped({seed: each[seed] for seed in shared}, case.queries) for each in (found, control)
        )
        ratio = _bounded(ratio_of_means(mine, theirs))
    reached = np.mean(hits <= case.queries)
    ends = [o.steps[-1] for o in found.values() if o.steps]
    # a search that ended at its hit says nothing of what its budget would have bought
    whole = not case.stop_at_hit or all(o.paid >= case.queries - 1 for o in found.values())
    regret = np.mean([o.best - o.steps[-1].value for o in found.values() if o.steps] or [np.nan])
    return (
        str(len(found)),
        _interval(bootstrap(hits)),
        f"{np.quantile(hits, 0.9):.0f}",
        f"{np.quantile(hits, 0.95):.0f}",
        f"{reached:.0%}",
        f"{hits.mean():.1f}",
        ratio,
        f"{regret:.3f}" if whole else "-",
        f"{np.mean([s.fresh for s in ends]):.2f}" if whole and ends else "-",
        f"{np.mean([s.test for s in ends]):.2f}" if whole and ends else "-",
        f"{np.median([o.cpu_s for o in found.values()]):.2f}",
    )


def _labels(protocol: Protocol, outcomes: Outcomes) -> list[Table]:
    """Queries, and how many searches asked the same under other labels."""
    plain = {case.target: arms for case, arms in outcomes.items() if not case.disguise}
    rows = []
    for case, arms in outcomes.items():
        for arm, found in arms.items():
            same = plain.get(case.target, {}).get(arm, {})
            seeds = sorted(set(found) & set(same))
            if case.disguise and seeds:
                equal = sum(found[seed].trace == same[seed].trace for seed in seeds)
                rows.append((case.name, arm, str(len(seeds)), str(equal)))
    columns = ("case", "arm", "seeds", "searches that asked the same")
    return [Table(title="", columns=columns, rows=rows), *_queries(protocol, outcomes)]


def _hypervolumes(protocol: Protocol, outcomes: Outcomes) -> list[Table]:
    rows = []
    for case, arms in outcomes.items():
        for arm, found in arms.items():
            shares = np.array([outcome.extra["hypervolume"] for outcome in found.values()])
            cpu = np.median([outcome.cpu_s for outcome in found.values()])
            interval = _interval(bootstrap(shares, "mean"), 4)
            rows.append((case.name, arm, str(len(found)), interval, f"{cpu:.2f}"))
    columns = ("case", "arm", "seeds", "hypervolume, share of the table's", "CPU s")
    return [Table(title="", columns=columns, rows=rows)]


def _ranks(protocol: Protocol, outcomes: Outcomes) -> list[Table]:
    """Mean rank and normalised regret of the chosen ones, over all cases and for each."""
    arms = [arm for arm in protocol.arms if all(arm in found for found in outcomes.values())]
    ranks = {arm: _by_seed(outcomes, arm, _final_rank) for arm in arms}
    regrets = {arm: _by_seed(outcomes, arm, _final_regret) for arm in arms}
    rows = [
        (
            arm,
            str(ranks[arm].shape[1]),
            _interval(bootstrap(ranks[arm].mean(axis=0), "mean")),
            f"{np.median(ranks[arm]):g}",
            _interval(bootstrap(regrets[arm].mean(axis=0), "mean"), 4),
            f"{np.mean(ranks[arm] == 1):.0%}",
        )
        for arm in arms
    ]
    columns = ("arm", "seeds", "mean rank", "median rank", "normalised regret", "optimum found")
    first = Table(title=f"All {len(outcomes)} cases:", columns=columns, rows=rows)
    per_case = [
        (case.name, *(f"{np.mean([_final_rank(o) for o in found[a].values()]):.1f}" for a in arms))
        for case, found in outcomes.items()
    ]
    each = Table(
        title="Mean rank of the chosen one, case by case:", columns=("case", *arms), rows=per_case
    )
    return [first, *_no_worse(regrets), each]


def _no_worse(regrets: Mapping[str, FloatArray]) -> list[Table]:
    """Beside every control: the difference of normalised regret, with simultaneous bounds."""
    if OURS not in regrets or len(regrets) < 2:
        return []
    seeds = min(values.shape[1] for values in regrets.values())
    if seeds < 2:  # a t-test needs spread
        return []
    mean = {arm: values[:, :seeds].mean(axis=0) for arm, values in regrets.items()}
    found = non_inferiority({a: mean[OURS] - mean[a] for a in mean if a != OURS}, MARGIN)
    rows = [
        (a, f"{f.difference:+.4f}", f"{f.upper:+.4f}", f"{f.p_value:.4f}",
         "yes" if f.is_excluded else "no")
        for a, f in found.items()
    ]  # fmt: skip
    columns = ("control", "difference", "simultaneous upper bound", "Holm p", "non-inferior")
    title = f"Normalised regret of {OURS} less that of each control, margin {MARGIN}:"
    return [Table(title=title, columns=columns, rows=rows)]


def _by_seed(outcomes: Outcomes, arm: str, read: Callable[[Outcome], float]) -> FloatArray:
    """Returns a reading [cases, seeds] on the seeds that every case has."""
    seeds = sorted(set.intersection(*(set(found[arm]) for found in outcomes.values())))
    return np.array([[read(found[arm][s]) for s in seeds] for found in outcomes.values()])


def _final_rank(outcome: Outcome) -> float:
    return float(outcome.steps[-1].rank)


def _final_regret(outcome: Outcome) -> float:
    return (outcome.best - outcome.steps[-1].value) / outcome.scale


def _lapt(protocol: Protocol, outcomes: Outcomes) -> list[Table]:
    """LAPT's own figures, and then queries."""
    columns = ("case", "arm", "seeds", "test at its stop", "evaluations", "hit")
    rows = []
    for case, arms in outcomes.items():
        for arm, found in arms.items():
            stops = [lapt_stop(o, case) for o in found.values()]
            tests = np.array([test for _, test, _ in stops])
            rows.append(
                (
                    case.name, arm, str(len(found)), f"{tests.mean():.2f} ± {tests.std():.2f}",
                    f"{np.mean([evaluations for evaluations, _, _ in stops]):.1f}",
                    f"{np.mean([hit for _, _, hit in stops]):.0%}",
                )
            )  # fmt: skip
    title = "As published (an optimum that is hit replaces the time to the top 0.1 %):"
    return [Table(title=title, columns=columns, rows=rows), *_queries(protocol, outcomes)]


def lapt_stop(outcome: Outcome, case: Case) -> tuple[float, float, bool]:
    """Returns LAPT's evaluations, the test value then, and whether the top 0.1 % was reached."""
    top, optimum = LAPT_CONSTANTS[case.target.name]
    for threshold in (optimum, top):
        for step in outcome.steps:
            if step.value > threshold:
                return step.cost, step.test, True
    return outcome.queries, outcome.steps[-1].test, False


def _interval(found: Interval, digits: int = 1) -> str:
    def text(value: float) -> str:
        return f"{value:.{digits}f}".removesuffix(".0")

    return f"{text(found.value)} [{text(found.low)}, {text(found.high)}]"


def _bounded(found: Interval) -> str:
    return f"{found.value:.2f} (≤ {found.high:.2f})"
