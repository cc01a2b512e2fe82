"""The audit of a space: what proxies or labelled architectures say of it, and may cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vitruvius.agents.analyst.audit_cuts import Proposed, propose_cuts
from vitruvius.agents.analyst.edits import statement
from vitruvius.errors import ConfigError
from vitruvius.graphs.offline.mining_rows import Mined, measure_rules
from vitruvius.graphs.offline.rows import find_origin, rows_of
from vitruvius.memory.audit.factors import Spread, spreads
from vitruvius.memory.audit.size import Removed, Size, indistinct_share, removed_by, size_of
from vitruvius.memory.audit.variance import FactorShare, Interaction, explain
from vitruvius.memory.edits import Add
from vitruvius.memory.evidence.contrasts import describe_population
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.model.ranking import learn
from vitruvius.memory.model.row_selection import as_trials, taught
from vitruvius.memory.records import Evidence, GivenRow, ResultStatus, Score, Trial
from vitruvius.settings import Settings, load_settings
from vitruvius.spaces.registry import absolute_ref, load_space
from vitruvius.spaces.rules import Rule, words
from vitruvius.spaces.space import Architecture, SearchSpace
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.task import Metric, Task
from vitruvius.tools.calls.audit import LEAST_TO_AUDIT

FEWEST = LEAST_TO_AUDIT
DRAWS = 100  # scored by proxies where nothing else is said
TRIES = 20  # draws per different architecture wanted
CHEAP = ("params", "flops")  # exact, and in no need of data


@dataclass(frozen=True, kw_only=True)
class Explained:
    """What one score says of the space: `name` is a metric or a proxy.

    `predicted` is the correlation of left-out scores with their prediction by the others.
    """

    name: str
    rows: int
    predicted: float
    indistinct: float
    factors: Sequence[FactorShare]
    interactions: Sequence[Interaction]


@dataclass(frozen=True, kw_only=True)
class AuditedCut:
    """A proposed cut, and what the rows say of its rule in the whole space."""

    cut: Proposed
    evidence: Evidence
    removed: Removed  # by this and the cuts before it

    @property
    def rule(self) -> Rule:
        return self.cut.rule


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What an audit found; `scores` is empty where nothing was labelled."""

    space: SearchSpace
    source: str
    size: Size
    spreads: Sequence[Spread]
    scores: Sequence[Explained] = ()
    cuts: Sequence[AuditedCut] = ()
    loss: float = 0.0  # expected share of the best tenth that all cuts remove


def audit(
    space: str | SearchSpace,
    *,
    task: str | Task | None = None,
    source: str | Task | None = None,
    draws: int | None = None,
    proxies: Sequence[str] | None = None,
    seed: int = 0,
    home: Path | str | None = None,
) -> Audit:
    """Returns what decides in a space, what is dead in it, and what may be cut. Nothing is trained.

    Args:
        space: a name with options, a user's `file.py:object`, or a space.
        task: whose networks are built and scored by proxies, untrained.
        source: of labels: `table:PATH,metric=...`, the path of a file of rows, the id of a run, or
            a task that answers from a table. With neither, the form of the space is all there is.
        draws: so many architectures: of a source drawn at random by the seed, left out all; for
            proxies drawn by the space's sampler, left out 100.
        proxies: their names; left out, parameters and FLOPs.
        seed: of draws, initial weights and batch.
        home: of the ledger, where the source is a run.

    Raises:
        ConfigError: a reference or number that cannot be used.
        ToolError: an unknown proxy.
    """
    if task is not None and source is not None:
        raise ConfigError("an audit is of a task's proxies or of a source's labels: name only one")
    if proxies is not None and task is None:
        raise ConfigError("proxies need a task, whose networks are built: name one")
    if draws is not None and draws < FEWEST:
        raise ConfigError(f"an audit needs at least {FEWEST} architectures, got {draws}")
    settings = load_settings({"home": home, "seed": seed})
    if source is not None:
        return _by_labels(space, source, draws, settings)
    the_space = load_space(absolute_ref(space)) if isinstance(space, str) else space
    scores: list[Explained] = []
    about = "nothing: the form of the space alone"
    if task is not None:
        the_task = load_task(absolute_ref(task), the_space) if isinstance(task, str) else task
        about = f"proxies of {draws or DRAWS} draws, untrained, for {the_task.name}"
        scores = _by_proxies(the_space, the_task, draws or DRAWS, proxies, seed)
    return Audit(
        space=the_space,
        source=about,
        size=size_of(the_space),
        spreads=spreads(the_space),
        scores=scores,
    )


def _by_labels(
    space: str | SearchSpace, source: str | Task, draws: int | None, settings: Settings
) -> Audit:
    origin = find_origin(source, space, settings.home)
    if origin.run is not None:
        with Ledger.open(settings.home) as ledger:
            trials = [t for t in ledger.trials.of(origin.run.id) if not t.status.is_open]
        about = f"{len(trials)} trials of run {origin.run.id} on {origin.run.task_name}"
        if draws is None:
            return audit_trials(origin.space, origin.task, trials, source=about, seed=settings.seed)
    rows = rows_of(origin, settings.home, draws, None, settings.seed, None)
    if len(rows) < FEWEST:
        raise ConfigError(f"an audit needs at least {FEWEST} labels, {source} has {len(rows)}")
    trials = taught(as_trials(rows))
    where = f"run {origin.run.id}" if origin.run is not None else origin.task.name
    how = f", drawn at random with seed {settings.seed}" if draws is not None else ""
    about = f"{len(rows):,} labelled architectures of {where}{how}"
    return audit_trials(origin.space, origin.task, trials, source=about, seed=settings.seed)


def _by_proxies(
    space: SearchSpace, task: Task, draws: int, names: Sequence[str] | None, seed: int
) -> list[Explained]:
    from vitruvius.tools.passes.scoring import score
    from vitruvius.tools.proxies import proxies_for

    known = proxies_for(space, task)
    if not known:
        raise ConfigError(
            f"no proxy can be computed for space {space.name} and task {task.name}; "
            "audit the space alone, or by labels"
        )
    chosen = tuple(names or (name for name in CHEAP if name in known)) or known[:1]
    scores = score(space, task, _drawn(space, draws, seed), chosen, seed)
    found = []
    for name in chosen:
        trials = as_trials(_scored([one for one in scores if one.proxy == name]))
        explained = explain_trials(space, name, trials, Metric(name=name, direction="max", unit=""))
        found += [] if explained is None else [explained]
    return found


def _drawn(space: SearchSpace, count: int, seed: int) -> list[Architecture]:
    """Returns different draws of the sampler, fewer in a space that has not so many."""
    rng = np.random.default_rng(seed)
    found: dict[Architecture, None] = {}
    for _ in range(TRIES * count):
        found[space.sample(rng)] = None
        if len(found) == count:
            break
    return list(found)


def _scored(scores: Sequence[Score]) -> list[GivenRow]:
    """Returns scores as rows; a degenerate one ranks worst."""
    return [
        GivenRow(
            architecture=one.architecture,
            fidelity="untrained",
            seed=0,
            status=ResultStatus.DONE if one.value is not None else ResultStatus.DIVERGED,
            value=one.value,
            propensity=1.0,
        )
        for one in scores
    ]


def explain_trials(
    space: SearchSpace, name: str, trials: Sequence[Trial], metric: Metric
) -> Explained | None:
    """Returns what labelled architectures say of a space; None of fewer than `FEWEST`."""
    lesson = learn(trials, metric)
    if len(lesson.trials) < FEWEST or np.ptp(lesson.scores) == 0:
        return None
    population = describe_population(space, lesson)
    shares, interactions = explain(space, lesson, population)
    predictions = population.scores - population.residuals
    has_spread = min(predictions.std(), population.scores.std()) > 0
    return Explained(
        name=name,
        rows=len(lesson.trials),
        predicted=float(np.corrcoef(predictions, population.scores)[0, 1]) if has_spread else 0.0,
        indistinct=indistinct_share(space, population),
        factors=shares,
        interactions=interactions,
    )


def audit_trials(
    space: SearchSpace, task: Task, trials: Sequence[Trial], *, source: str, seed: int = 0
) -> Audit:
    """Returns the audit of a space by labelled architectures. Deterministic.

    Args:
        space: its own sampler is the measure of everything.
        task: gives the metric and the name; asked for nothing.
        trials: closed ones.
        source: where they come from, in words.
        seed: of the evidence's run.
    """
    explained = explain_trials(space, task.metric.name, trials, task.metric)
    cuts = [] if explained is None else propose_cuts(space, trials, task.metric)
    measured = measure_cuts(space, task, trials, cuts, seed)
    sample = [trial.architecture for trial in learn(trials, task.metric).trials]
    kept = float(np.prod([1 - cut.loss for cut in cuts]))
    return Audit(
        space=space,
        source=source,
        size=size_of(space),
        spreads=spreads(space),
        scores=[] if explained is None else [explained],
        cuts=[
            AuditedCut(
                cut=cut,
                evidence=one.evidence,
                removed=removed_by(space, [each.rule for each in cuts[: place + 1]], sample),
            )
            for place, (cut, one) in enumerate(zip(cuts, measured, strict=True))
        ],
        loss=1 - kept,
    )


def measure_cuts(
    space: SearchSpace, task: Task, trials: Sequence[Trial], cuts: Sequence[Proposed], seed: int
) -> list[Mined]:
    """Returns the cuts as principles with their evidence in the whole space, in order."""
    return measure_rules(space, task, trials, edits_of(space, cuts), seed)


def edits_of(space: SearchSpace, cuts: Sequence[Proposed]) -> list[Add]:
    """Returns the edits that add cuts as principles."""
    edits = []
    for place, cut in enumerate(cuts):
        after = [words(before.rule) for before in cuts[:place]]
        where = f"of what satisfies {' and '.join(after)}" if after else "of the space"
        edits.append(
            Add(
                statement=statement(cut.rule, space),
                rule=cut.rule,
                rationale=(
                    f"audit: it removes {cut.removed:.0%} {where}, and at most "
                    f"{cut.loss_high:.0%} of the best tenth there ({cut.rows} rows, contrast "
                    f"{cut.effect:+.2f})"
                )[:600],
            )
        )
    return edits
