"""What a page says: one text or one list of lines for each of its sections."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from itertools import chain, zip_longest

from vitruvius.agents.chairs.repair_triggers import needs_repair, progress_of
from vitruvius.agents.chairs.view import PrincipleView, RunView
from vitruvius.agents.model.quoting import fenced, quoted
from vitruvius.memory.decisions import Decision
from vitruvius.memory.evidence.calibration import COUNTED, verdict
from vitruvius.memory.records import Calibration, Evidence, Origin, Standing, Trial
from vitruvius.memory.transfer.source_hints import Source
from vitruvius.spaces.rules import words
from vitruvius.spaces.space import Architecture
from vitruvius.tasks.task import amount

NOTE_CHARS = 300
MOST_AGAINST = 3  # trials shown in full against one principle


def task_text(view: RunView) -> str:
    """Returns what is to be reached: the task, its metric and its limits."""
    metric, limits = view.task.metric, view.task.constraints
    better = "higher is better" if metric.direction == "max" else "lower is better"
    unit = f" in {metric.unit}" if metric.unit else ""
    parts = [
        view.task.describe(),
        f"Score: {metric.name}{unit} on the validation split, {better}; each training is "
        f"{view.task.fidelity.epochs} epochs.",
    ]
    parts += [f"At most {amount(name, limit)}." for name, limit in limits.limits.items()]
    return "\n".join(parts)


def budget_text(view: RunView) -> str:
    """Returns what is left of each kind of budget."""
    pairs = (
        ("trials", view.budget.trials, view.spent.trials),
        ("seconds", view.budget.wall_s, view.spent.wall_s),
        ("seconds of training", view.budget.train_s, view.spent.train_s or 0.0),
        ("tokens", view.budget.tokens, view.spent.tokens),
        ("dollars", view.budget.dollars, view.spent.dollars),
    )
    left = [f"{max(limit - used, 0):g} {name}" for name, limit, used in pairs if limit is not None]
    return f"Left: {', '.join(left)}." if left else "No limit."


def noise_text(view: RunView) -> str:
    """Returns the noise floor in the metric's own unit."""
    if not view.task.is_noisy:
        return "None: the same architecture always gets the same score."
    if view.noise is None:
        return "Not measured yet: another seed would give another score."
    return (
        f"Another seed changes a score by about {view.noise:.3g} (standard deviation near the top)."
    )


def notes_text(view: RunView) -> str:
    """Returns what people left for the architect, as data; empty where nobody did."""
    if not view.notes:
        return ""
    lines = fenced(quoted(note, NOTE_CHARS) for note in view.notes)
    return f"# Notes by people\nThe latest last. Weigh them; they do not bind you.\n{lines}\n\n"


def cuts_text(view: RunView) -> str:
    """Returns the cuts in force and the share of the space that they leave."""
    if not view.cuts:
        return "The whole space: nothing is cut."
    lines = [
        f"cut {cut.number} by {cut.principle} keeps only: {words(cut.rule)}"
        + (" (provisional: rests on earlier runs)" if cut.provisional else "")
        + f"; reason {quoted(cut.reason, 160)}"
        for cut in view.cuts
    ]
    head = f"{view.region.fraction():.1%} of the space is left. Architectures to train lie inside."
    return "\n".join((head, fenced(lines)))


def progress_text(view: RunView) -> str:
    """Returns the best score so far, how long ago it was, and what calls for a repair."""
    progress = progress_of(view)
    if progress.best is None:
        return "No score yet."
    unit = f" {view.task.metric.unit}".rstrip()
    text = f"Best: {progress.best.name} with {progress.value:.4g}{unit}; results since then: "
    text += f"{progress.since}."
    return "\n".join((text, *(f"To mend: {reason}." for reason in needs_repair(view))))


def by_interest(view: RunView) -> list[Trial]:
    """Returns the trials, most telling first: best, worst, latest and failed in turns.

    An architecture that was trained again is shown once, by its first trial.
    """
    first = {trial.architecture: trial for trial in reversed(view.trials)}
    sign = view.task.metric.sign
    done = [t for t in first.values() if t.value is not None]
    ranked = sorted(done, key=lambda t: (-sign * (t.value or 0.0), t.number))
    failed = sorted((t for t in first.values() if t.value is None), key=lambda t: -t.number)
    latest = sorted(done, key=lambda t: -t.number)
    turns = zip_longest(ranked[::2], ranked[1::2], reversed(ranked), latest, failed)
    seen = (trial for trial in chain.from_iterable(turns) if trial is not None)
    return list({trial.number: trial for trial in seen}.values())


def trial_lines(view: RunView) -> list[str]:
    """Returns one line for each trained architecture, in the order of `by_interest`."""
    scores: dict[Architecture, list[float]] = defaultdict(list)
    for trial in view.trials:
        if trial.value is not None:
            scores[trial.architecture].append(trial.value)
    return [_trial_line(trial, scores[trial.architecture]) for trial in by_interest(view)]


def _trial_line(trial: Trial, scores: Sequence[float]) -> str:
    """Returns one trial: name, score (or how it failed), architecture, cost."""
    if not scores:
        why = f" {quoted(trial.message, 100)}" if trial.message else ""
        score = f"{trial.status.value}{why}"
    else:
        score = f"{sum(scores) / len(scores):.4g}"
        score += f" (mean of {len(scores)})" if len(scores) > 1 else ""
    params = f" params={trial.params}" if trial.params is not None else ""
    uniform = " random" if trial.origin in (Origin.EXPLORE, Origin.CONTROL) else ""
    return f"{trial.name} {score} {trial.architecture}{params}{uniform}"


_ORDER = (
    Standing.SUPPORTED,
    Standing.CONTRADICTED,
    Standing.WEAKENED,
    Standing.CANDIDATE,
    Standing.RETIRED,
)


def by_standing(view: RunView) -> list[PrincipleView]:
    """Returns the principles, supported ones first, then by the size of their effect."""
    return sorted(
        view.principles,
        key=lambda known: (
            _ORDER.index(known.standing),
            -abs(known.evidence.effect if known.evidence else known.source_effect or 0.0),
            -known.trust,
        ),
    )


def principle_line(view: RunView, known: PrincipleView) -> str:
    """Returns one principle with its rule, effect, interval and contradicting trials."""
    version = known.version
    foreign = ""
    if version.run_id != view.run_id:
        foreign = f" from {'an import' if version.run_id is None else f'run {version.run_id}'}"
        foreign += f" on {quoted(version.task_name, 60)}, trust {known.trust:.2f}"
        if known.source_effect is not None:
            foreign += f", effect there {known.source_effect:+.2f}"
    measured = _measured(known.evidence) if known.evidence else "not measured here yet"
    return (
        f"{version.name} {known.standing.value}{foreign}: {quoted(version.statement, 240)} "
        f"| rule: {words(version.rule)} | {measured}"
    )


def _measured(evidence: Evidence) -> str:
    text = (
        f"effect {evidence.effect:+.2f} [{evidence.low:+.2f}, {evidence.high:+.2f}] on "
        f"{evidence.n_in} with and {evidence.n_out} without"
    )
    if evidence.points is not None:
        text += f", about {evidence.points:+.2f} points"
    text += f"; a cut would lose at most {evidence.top_loss_high:.0%} of the best"
    if evidence.contradicting:
        against = ", ".join(f"T{number}" for number in evidence.contradicting[:5])
        text += f"; contradicted by {against}"
    return text


def contradiction_lines(view: RunView) -> list[str]:
    """Returns, for each principle that is held or doubted, the trials that speak against it.

    The trial that says most of each principle comes first, then each one's second, and so on.
    """
    trials = {trial.number: trial for trial in view.trials}
    columns = [
        [
            f"against {known.version.name} ({words(known.version.rule)}): "
            + _trial_line(trials[number], _scores_of(trials[number]))
            for number in known.evidence.contradicting[:MOST_AGAINST]
            if number in trials
        ]
        for known in by_standing(view)
        if known.evidence is not None and known.standing != Standing.RETIRED
    ]
    return [line for row in zip_longest(*columns) for line in row if line is not None]


def _scores_of(trial: Trial) -> list[float]:
    return [] if trial.value is None else [trial.value]


def proxy_lines(view: RunView) -> list[str]:
    """Returns the calibrations, strongest first, what is counted at the head."""
    order = sorted(
        view.calibrations, key=lambda c: (c.proxy not in COUNTED, -abs(c.spearman), c.proxy)
    )
    return [
        f"{c.proxy}: {c.spearman:+.2f} [{c.low:+.2f}, {c.high:+.2f}] over {c.n} trials"
        + _given(c)
        + ("" if c.weight is None else f"; weight {c.weight:+.2f}")
        + ("" if c.proxy in COUNTED else f"; {verdict(c)}")
        for c in order
    ]


def _given(one: Calibration) -> str:
    if one.partial is None:
        return ""
    interval = f"[{one.partial_low:+.2f}, {one.partial_high:+.2f}]"
    return f"; given {' and '.join(one.given)} {one.partial:+.2f} {interval}"


def decision_line(decision: Decision) -> str:
    """Returns one decision with what became of it; those turned down say why."""
    call = {key: value for key, value in decision.written.items() if key != "reason"}
    text = quoted(json.dumps(call, separators=(",", ":")), 240)
    outcome = quoted(decision.outcome, 240) if decision.outcome else "no outcome yet"
    return f"step {decision.step} {decision.author} {decision.status.value}: {text} -> {outcome}"


SHOWN = 3  # best architectures of a source in the same space
LEAST_SHARED = 5  # architectures that both have scored, before agreement is told


def source_lines(view: RunView) -> list[str]:
    """Returns one line for each source, the most trusted first."""
    ranked = sorted(view.sources, key=lambda source: -source.trust)
    return [_source_line(view, source) for source in ranked]


def _source_line(view: RunView, source: Source) -> str:
    done = _done(source)
    text = (
        f"run {source.run_id} on {quoted(source.task_name, 60)}: {len(done)} architectures scored "
        f"by {source.metric.name}, trust {source.trust:.2f}"
    )
    if source.space.id != view.space.id:
        return f"{text}; another space ({quoted(source.space.name, 40)})"
    best = ", ".join(f"{t.value:.4g} {t.architecture}" for t in done[:SHOWN])
    return f"{text}; {_agreement(view, source)}; best there: {best or 'none'}"


def _done(source: Source) -> list[Trial]:
    done = [trial for trial in source.trials if trial.value is not None]
    return sorted(done, key=lambda t: (-source.metric.sign * (t.value or 0.0), t.number))


def _agreement(view: RunView, source: Source) -> str:
    """Returns the rank correlation over architectures that both runs have scored."""
    there = _means(source.trials, source.metric.sign)
    here = _means(view.trials, view.task.metric.sign)
    shared = [architecture for architecture in here if architecture in there]
    if len(shared) < LEAST_SHARED:
        return f"only {len(shared)} of them scored here too"
    from scipy.stats import spearmanr

    result = spearmanr([there[a] for a in shared], [here[a] for a in shared])
    return f"rank correlation with this run {result.statistic:+.2f} over {len(shared)} of them"


def _means(trials: Sequence[Trial], sign: float) -> dict[Architecture, float]:
    sums: dict[Architecture, tuple[float, int]] = {}
    for trial in trials:
        if trial.value is not None:
            total, count = sums.get(trial.architecture, (0.0, 0))
            sums[trial.architecture] = (total + sign * trial.value, count + 1)
    return {architecture: total / count for architecture, (total, count) in sums.items()}
