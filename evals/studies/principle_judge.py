"""Judges the principles of finished runs, whoever wrote them: by what they foretell.

`python -m vitruvius.evals.studies.principle_judge --home HOME RUN...` scores each batch of trials
by the rules that were there before it. Rules were written with the trials before in sight, so no
random half of the trials is unseen; what came after the rewrite is.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from scipy.special import gammaln
from scipy.stats import t

from vitruvius.agents.analyst.edits import MAX_LIVE, add_principles
from vitruvius.agents.analyst.mining import Miner, hypotheses
from vitruvius.memory.edits import Add
from vitruvius.memory.evidence.contrasts import describe_population
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.model.ranking import learn
from vitruvius.memory.records import Origin, PrincipleVersion, Standing, Trial
from vitruvius.spaces.rules import Rule, holds
from vitruvius.spaces.space import BoolArray, FloatArray, SearchSpace
from vitruvius.tasks.task import Metric

MIN_TRIALS = 4  # before the first batch that is scored
BOOTSTRAPS = 2000
MINED = "mined"  # rules that the analyst's miner finds in the same trials
SPREADS = (0.1, 0.3, 1.0, 3.0)  # prior deviations of a rule's weight, in units of the noise
OFFSET_VARIANCE = 10.0  # of the mean of all scores, in units of the noise
SHAPE, RATE = 1.0, 0.5  # inverse gamma prior of the noise's variance


def log_predictive(
    known: FloatArray, scores: FloatArray, unseen: FloatArray, truth: FloatArray
) -> FloatArray:
    """Returns the log density of each unseen score under a Bayesian linear model [M].

    Noise and weights are integrated out; the spread of the weights is the one with the largest
    evidence on the known trials, so that rules that say nothing are shrunk away.

    Args:
        known: which rules the known trials satisfy, as 0 and 1 [N, R].
        scores: theirs [N].
        unseen: as `known` [M, R].
        truth: the unseen scores [M].
    """
    best, chosen = -np.inf, None
    for spread in SPREADS if known.shape[1] else SPREADS[:1]:
        evidence, posterior = _fit(_design(known), scores, spread)
        if evidence > best:
            best, chosen = evidence, posterior
    assert chosen is not None
    mean, inverse, shape, rate = chosen
    rows = _design(unseen)
    variance = rate / shape * (1 + np.einsum("mr,rs,ms->m", rows, inverse, rows))
    density = t.logpdf(truth, 2 * shape, loc=rows @ mean, scale=np.sqrt(variance))
    return np.asarray(density, dtype=np.float64)


def _design(satisfied: FloatArray) -> FloatArray:
    """Returns the rules about their middle, and a column for the mean of all [N, 1 + R]."""
    return np.hstack([np.ones((len(satisfied), 1)), satisfied - 0.5])


def _fit(
    rows: FloatArray, scores: FloatArray, spread: float
) -> tuple[float, tuple[FloatArray, FloatArray, float, float]]:
    """Returns the log evidence and the posterior: mean, covariance over noise, shape, rate."""
    prior = np.full(rows.shape[1], spread**-2)
    prior[0] = 1 / OFFSET_VARIANCE
    precision = np.diag(prior) + rows.T @ rows
    inverse = np.asarray(np.linalg.inv(precision), dtype=np.float64)
    mean = inverse @ (rows.T @ scores)
    shape = SHAPE + len(scores) / 2
    rate = RATE + 0.5 * float(scores @ scores - mean @ precision @ mean)
    evidence = 0.5 * (np.log(prior).sum() - np.linalg.slogdet(precision)[1])
    evidence += SHAPE * np.log(RATE) - shape * np.log(rate) + gammaln(shape) - gammaln(SHAPE)
    return float(evidence), (mean, inverse, shape, rate)


@dataclass(frozen=True, kw_only=True)
class Look:
    """A rewrite: how many trials its author had seen, and each author's rules after it."""

    seen: int
    rules: Mapping[str, Sequence[Rule]]


@dataclass(kw_only=True)
class Verdict:
    """What the rules of one author were worth. Gains are log likelihoods of unseen trials."""

    proposed: int = 0  # versions written
    survived: int = 0  # of them, how many were supported when last measured
    tokens: int = 0  # of the calls in which they were written
    over_none: list[float] = field(default_factory=list)  # by trial
    over_mined: list[float] = field(default_factory=list)  # mined and the author's, over mined

    def add(self, other: Verdict) -> None:
        """Takes in what another run says of the same author."""
        self.proposed += other.proposed
        self.survived += other.survived
        self.tokens += other.tokens
        self.over_none += other.over_none
        self.over_mined += other.over_mined

    @property
    def gain_per_1000_tokens(self) -> float | None:
        """The gain over mined rules, over all trials; None for an author without tokens."""
        return sum(self.over_mined) / self.tokens * 1000 if self.tokens else None


def judge(
    space: SearchSpace, metric: Metric, trials: Sequence[Trial], looks: Sequence[Look]
) -> dict[str, Verdict]:
    """Returns the gains of every author, and of the mined rules over none.

    Args:
        space: of the rules.
        metric: gives the direction.
        trials: of one run, in order of number, without control and confirmation.
        looks: rewrites in order of time.
    """
    lesson = learn(trials, metric)
    numbers = np.array([trial.number for trial in lesson.trials])
    features = space.featurise([trial.architecture for trial in lesson.trials])
    verdicts: dict[str, Verdict] = defaultdict(Verdict)
    authors = sorted({author for look in looks for author in look.rules})
    for place, look in enumerate(looks):
        if look.seen < MIN_TRIALS or look.seen >= len(trials):
            continue
        last = looks[place + 1].seen if place + 1 < len(looks) else len(trials)
        before = numbers <= trials[look.seen - 1].number
        after = ~before & (numbers <= trials[min(last, len(trials)) - 1].number)
        if before.sum() < MIN_TRIALS or not after.any():
            continue

        batch = _Batch(
            space=space, features=features, scores=lesson.scores, before=before, after=after
        )
        mined = mined_rules(space, metric, trials[: look.seen])
        verdicts[MINED].over_none += batch.gain(mined, ())
        for author in authors:
            rules = look.rules.get(author, ())
            new = [rule for rule in rules if rule.key not in {other.key for other in mined}]
            verdicts[author].over_none += batch.gain(rules, ())
            verdicts[author].over_mined += batch.gain(new, mined)
    return dict(verdicts)


def mined_rules(space: SearchSpace, metric: Metric, trials: Sequence[Trial]) -> list[Rule]:
    """Returns the rules that the analyst's miner finds in trials, with none to begin from."""
    lesson = learn(trials, metric)
    if len(lesson.trials) < MIN_TRIALS:
        return []
    miner = Miner(space, describe_population(space, lesson))
    found = miner.screen(hypotheses(space))
    rules: list[Rule] = []
    while len(rules) < MAX_LIVE:
        edits = add_principles(space, miner.judge(rules), found, miner)
        if not edits:
            break
        rules += [edit.rule for edit in edits if isinstance(edit, Add)]
    return rules


def judge_run(
    ledger: Ledger, run_id: str, space: SearchSpace, metric: Metric
) -> dict[str, Verdict]:
    """Returns the verdict on every author of a finished run."""
    hidden = (Origin.CONTROL, Origin.CONFIRM)
    trials = [trial for trial in ledger.trials.of(run_id) if trial.origin not in hidden]
    versions = _versions(ledger, run_id)
    verdicts = judge(space, metric, trials, _looks(ledger, run_id, versions))
    latest = ledger.evidence.latest(run_id)
    for version in versions:
        if version.run_id != run_id or version.edit in ("retire", "carry"):
            continue
        verdict = verdicts.setdefault(version.author, Verdict())
        verdict.proposed += 1
        evidence = latest.get((version.principle, version.version))
        verdict.survived += evidence is not None and evidence.standing == Standing.SUPPORTED
    for call in ledger.steps.calls(run_id):
        if call.chair == "theorist" and call.model in verdicts:
            verdicts[call.model].tokens += call.tokens_in + call.tokens_out
    return verdicts


def _versions(ledger: Ledger, run_id: str) -> list[PrincipleVersion]:
    """Returns every version that a run wrote, in order of time, after those that it recalled."""
    own = {version.principle for version in ledger.principles.newest(run_id)}
    history = [version for number in sorted(own) for version in ledger.principles.versions(number)]
    written = [version for version in history if version.run_id == run_id]
    recalled = [
        ledger.principles.version(adoption.version)
        for adoption in ledger.principles.adopted(run_id)
    ]
    return [*recalled, *sorted(written, key=lambda v: (v.step, v.created))]


def _looks(ledger: Ledger, run_id: str, versions: Sequence[PrincipleVersion]) -> list[Look]:
    looks = []
    for mark in ledger.steps.marks(run_id, "verified"):
        live: dict[int, PrincipleVersion] = {}
        for version in versions:
            if version.run_id != run_id or version.step <= mark.step:
                live[version.principle] = version
        rules: dict[str, list[Rule]] = defaultdict(list)
        for version in live.values():
            if version.edit != "retire":
                foreign = "" if version.run_id == run_id else ", recalled"
                rules[version.author + foreign].append(version.rule)
        looks.append(Look(seen=int(mark.data["closed"]), rules=rules))
    return looks


@dataclass(frozen=True, kw_only=True, eq=False)
class _Batch:
    """Trials before a rewrite, and those after it up to the next."""

    space: SearchSpace
    features: FloatArray
    scores: FloatArray
    before: BoolArray
    after: BoolArray

    def gain(self, rules: Sequence[Rule], base: Sequence[Rule]) -> list[float]:
        """Returns the log likelihood of each later trial with the rules and a base, over it."""
        gains = self._densities([*base, *rules]) - self._densities(base)
        return [float(gain) for gain in gains]

    def _densities(self, rules: Sequence[Rule]) -> FloatArray:
        met = np.zeros((len(self.features), len(rules)))
        for column, rule in enumerate(rules):
            met[:, column] = holds(rule, self.space, self.features)
        known, truth = self.scores[self.before], self.scores[self.after]
        return log_predictive(met[self.before], known, met[self.after], truth)


def interval(gains: Sequence[float]) -> tuple[float, float]:
    """Returns the bootstrap 95 % interval of the mean gain by trial."""
    values = np.array(gains)
    rng = np.random.default_rng(0)
    means = values[rng.integers(len(values), size=(BOOTSTRAPS, len(values)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def to_table(verdicts: Mapping[str, Verdict]) -> str:
    """Returns the verdicts as a Markdown table."""
    lines = [
        "| author | rules | survive | trials | over none | over mined | per 1,000 tokens |",
        "|---|---|---|---|---|---|---|",
    ]
    for author, verdict in sorted(verdicts.items()):
        share = f"{verdict.survived / verdict.proposed:.0%}" if verdict.proposed else "-"
        each = verdict.gain_per_1000_tokens
        cells = (
            author,
            str(verdict.proposed or "-"),
            share,
            str(len(verdict.over_none)),
            _shown(verdict.over_none),
            _shown(verdict.over_mined),
            "-" if each is None else f"{each:+.3f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _shown(gains: Sequence[float]) -> str:
    if not gains:
        return "-"
    low, high = interval(gains)
    return f"{np.mean(gains):+.3f} ({low:+.3f} to {high:+.3f})"


def main() -> None:
    """Judges runs of a ledger together; prints a table, in nats by trial."""
    import vitruvius as vt

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--out", type=Path, help="verdicts as JSON")
    parser.add_argument("runs", nargs="+", metavar="RUN")
    args = parser.parse_args()
    pooled: dict[str, Verdict] = defaultdict(Verdict)
    with Ledger.open(args.home) as ledger:
        for run_id in args.runs:
            run = vt.open(run_id, home=args.home)
            verdicts = judge_run(ledger, run_id, run.space, run.task.metric)
            for author, verdict in verdicts.items():
                pooled[author].add(verdict)
    print(to_table(pooled))
    if args.out is not None:
        data = {author: asdict(verdict) for author, verdict in pooled.items()}
        args.out.write_text(json.dumps(data, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
