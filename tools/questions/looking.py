"""Answers about trials: the best network, a list, one of them, two side by side, the account."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from vitruvius.budget import budget_text
from vitruvius.memory.records import Standing, Trial
from vitruvius.spaces.rules import holds, words
from vitruvius.tools.questions.book import Answer, Book
from vitruvius.tools.report.facts import PrincipleReport
from vitruvius.tools.report.words import estimate_text, plural, seconds
from vitruvius.tools.safe_text import clean, names

Sort = Literal["best", "worst", "latest", "slowest", "smallest"]
MOST_ROWS = 30

SHOWN = 5
PARENTS = 3  # best architectures whose neighbours are looked at


def best(book: Book) -> Answer:
    """Returns the best network, what fresh seeds say of it, and how the search got there."""
    report = book.report
    if report.best is None:
        return Answer(text=f"No trial of run {book.run_id} has finished with a score yet.")
    found, metric = report.best.finalist, report.metric
    if found.confirmed is not None:
        score = (
            f"{metric.name} {estimate_text(found.confirmed, metric)} on "
            f"{plural(len(found.confirmed.trials), 'fresh seed')} ({names(found.confirmed.trials)})"
        )
    elif found.search is not None:
        said = "not confirmed on fresh seeds" if report.is_noisy else "the task repeats exactly"
        score = (
            f"{metric.name} {estimate_text(found.search, metric)} "
            f"({names(found.search.trials)}; {said})"
        )
    else:
        score = "no score of its own"
    size = f", {found.found.params:,} parameters" if found.found.params is not None else ""
    return Answer(
        text=f"The best network is that of {found.found.name}: {score}{size}. "
        f"Architecture: {clean(found.architecture.text)}",
        curve=book.best_so_far,
        picture=report.best.drawing,
    )


def trials(
    book: Book,
    *,
    sort: Sort = "best",
    status: str | None = None,
    origin: str | None = None,
    holding: Sequence[str] = (),
    limit: int = 10,
) -> Answer:
    """Returns a table of trials.

    Args:
        book: of the run.
        sort: which come first.
        status: only those that ended like this: done, failed, ...
        origin: only those made for this reason: explore, architect, ...
        holding: texts that the architecture must contain.
        limit: most rows.
    """
    chosen = [
        trial
        for trial in book.trials
        if (status is None or trial.status.value == status)
        and (origin is None or trial.origin.value == origin)
        and all(part in trial.architecture.text for part in holding)
    ]
    ranked = _sorted(chosen, sort, book.task.metric.sign)[: min(limit, MOST_ROWS)]
    if not ranked:
        return Answer(text=f"No trial of run {book.run_id} is like that.")
    unit = f" in {book.task.metric.unit}" if book.task.metric.unit else ""
    return Answer(
        text=f"{len(ranked)} of {plural(len(chosen), 'trial')}, {sort} first; "
        f"{book.task.metric.name}{unit}, {book.task.metric.direction}imised.",
        headers=("trial", "value", "origin", "status", "params", "seconds", "architecture"),
        rows=[_row(trial) for trial in ranked],
        curve=book.best_so_far,
    )


def _sorted(trials: Sequence[Trial], sort: Sort, sign: float) -> list[Trial]:
    def score(trial: Trial) -> float:
        return -float("inf") if trial.value is None else sign * trial.value

    keys: dict[str, Any] = {
        "best": lambda t: (-score(t), t.number),
        "worst": lambda t: (t.value is None, score(t), t.number),
        "latest": lambda t: -t.number,
        "slowest": lambda t: (-(t.train_s or 0.0), t.number),
        "smallest": lambda t: (t.params is None, t.params or 0, t.number),
    }
    return sorted(trials, key=keys[sort])


def _row(trial: Trial) -> tuple[str, ...]:
    return (
        trial.name,
        "-" if trial.value is None else f"{trial.value:.4g}",
        trial.origin.value,
        trial.status.value,
        "-" if trial.params is None else f"{trial.params:,}",
        "-" if trial.train_s is None else f"{trial.train_s:.3g}",
        clean(trial.architecture.text),
    )


def trial(book: Book, name: str) -> Answer:
    """Returns all that is known of one trial."""
    one = book.trial(name)
    return Answer(text=" ".join(_facts(book, one)), picture=book.space.draw(one.architecture))


def _facts(book: Book, one: Trial) -> Iterator[str]:
    place = next((n for n, t in enumerate(book.finished, start=1) if t.number == one.number), None)
    rank = f", rank {place} of {len(book.finished)}" if place else ""
    yield f"{one.name} ({one.origin.value}, seed {one.seed}): {book.value(one)}{rank}."
    if one.problem:
        yield f"It says: {clean(one.problem)}."
    costs = [f"{one.params:,} parameters"] if one.params is not None else []
    costs += [f"{one.flops:,} multiply-adds"] if one.flops is not None else []
    costs += [f"{seconds(one.train_s)} of training"] if one.train_s is not None else []
    costs += [f"{one.peak_mib:,.0f} MiB of memory at its peak"] if one.peak_mib is not None else []
    if costs:
        yield f"{', '.join(costs)}{' (reused: cost nothing here)' if one.reused else ''}."
    others = [t for t in book.of(one.architecture) if t.number != one.number]
    if others:
        yield (
            f"The same architecture again: {', '.join(f'{t.name} {book.value(t)}' for t in others)}"
            "."
        )
    keeps = [p for p in supported(book) if keeps_rule(book, p, one)]
    if keeps:
        yield f"It keeps {', '.join(p.version.name for p in keeps)}."
    outside = [a.cut.number for a in book.report.cuts if a.cut.in_force and one.number in a.outside]
    if outside:
        yield f"It lies outside cut {', '.join(map(str, outside))}."
    yield f"Architecture: {clean(one.architecture.text)}"


def supported(book: Book) -> list[PrincipleReport]:
    """Returns the principles that the run's trials support."""
    return [p for p in book.report.principles if p.standing == Standing.SUPPORTED]


def keeps_rule(book: Book, principle: PrincipleReport, one: Trial) -> bool:
    """Returns whether a trial's architecture satisfies a principle's rule."""
    features = book.space.featurise([one.architecture])
    return bool(holds(principle.version.rule, book.space, features)[0])


def compare(book: Book, first: str, second: str) -> Answer:
    """Returns two trials side by side: scores beside the noise, and where they differ."""
    one, two = book.trial(first), book.trial(second)
    rows = [
        ("value", book.value(one), book.value(two)),
        ("origin", one.origin.value, two.origin.value),
        ("parameters", *(_count(t.params) for t in (one, two))),
        ("seconds", *("-" if t.train_s is None else f"{t.train_s:.3g}" for t in (one, two))),
        *_differences(book, one, two),
    ]
    apart = [
        p for p in book.report.principles if keeps_rule(book, p, one) != keeps_rule(book, p, two)
    ]
    rows += [
        (
            f"{p.version.name} ({p.standing}): {clean(words(p.version.rule))}",
            *("keeps it" if keeps_rule(book, p, t) else "does not" for t in (one, two)),
        )
        for p in apart
    ]
    return Answer(
        text=f"{one.name} beside {two.name}: {_gap(book, one, two)}",
        headers=("", one.name, two.name),
        rows=rows,
    )


def _count(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"


def _differences(book: Book, one: Trial, two: Trial) -> Iterator[tuple[str, str, str]]:
    """Yields the slots where two architectures differ; their features where there are no slots."""
    if one.architecture == two.architecture:
        return
    if book.space.slots:
        for slot in book.space.slots:
            here, there = (str(t.architecture.spec.get(slot.name)) for t in (one, two))
            if here != there:
                yield slot.name, clean(here), clean(there)
        return
    table = book.space.featurise([one.architecture, two.architecture])
    for column, feature in enumerate(book.space.features):
        if table[0, column] != table[1, column]:
            yield feature.name, f"{table[0, column]:.4g}", f"{table[1, column]:.4g}"


def _gap(book: Book, one: Trial, two: Trial) -> str:
    if one.value is None or two.value is None:
        return "not both have a score."
    if one.architecture == two.architecture:
        return f"the same architecture on seeds {one.seed} and {two.seed}."
    gap, noise = abs(one.value - two.value), book.report.noise
    lead = book.task.metric.sign * (one.value - two.value)
    ahead = (
        "they are equal" if not lead else f"{(one if lead > 0 else two).name} leads by {gap:.4g}"
    )
    if noise is None:
        return f"{ahead}; how much seeds differ was not measured."
    said = "no more than seeds differ" if gap < 2 * noise.deviation else "more than seeds differ"
    return f"{ahead}, {said} (deviation {noise.deviation:.3g}; {names(noise.trials)})."


def budget(book: Book) -> Answer:
    """Returns the account of the run: limits, what was spent, what a training costs."""
    report, spent = book.report, book.report.spent
    rows = [("trials", str(spent.trials)), ("time", seconds(spent.wall_s)),
            ("tokens", f"{spent.tokens:,}"), ("dollars", f"${spent.dollars:.2f}")]  # fmt: skip
    rows += [
        (f"trainings: {a.kind}", f"{len(a.trials)}, {seconds(a.train_s)} ({names(a.trials)})")
        for a in report.accounts
    ]
    rows += [(f"this conversation: {name}", f"{n:,}") for name, n in book.calls.items()]
    return Answer(
        text=f"Run {book.run_id} is {report.run.status}; its limits are "
        f"{clean(budget_text(report.run.budget))}.",
        headers=("", "spent"),
        rows=rows,
    )


def suggest(book: Book) -> Answer:
    """Returns untried architectures one move from the best, those that the principles favour first.

    Each is ranked by the sum of the measured effects of the supported principles that it keeps.
    This is no model of the score: the search itself weighs far more.
    """
    first = {t.architecture: t for t in reversed(book.finished)}
    parents = sorted(first.values(), key=book.finished.index)[:PARENTS]
    if not parents:
        return Answer(text="Nothing is scored yet: let the run train its first uniform design.")
    tried = {trial.architecture for trial in book.trials}
    near = {a: t for t in reversed(parents) for a in book.space.neighbours(t.architecture)}
    fresh = [a for a in near if a not in tried]
    doubts = [p for p in book.report.principles if p.standing == Standing.CANDIDATE]
    undecided = ", ".join(p.version.name for p in doubts)
    hint = f" Not decided yet, so worth a trial on either side: {undecided}." if undecided else ""
    if not fresh:
        return Answer(text=f"Every neighbour of {_of(parents)} was tried.{hint}")
    features = book.space.featurise(fresh)
    score = [0.0] * len(fresh)
    kept: list[list[str]] = [[] for _ in fresh]
    for principle in supported(book):
        effect = principle.evidence.effect if principle.evidence else 0.0
        for place, keeps in enumerate(holds(principle.version.rule, book.space, features)):
            if keeps:
                score[place] += effect
                kept[place].append(principle.version.name)
    for audit in book.report.cuts:
        if audit.cut.in_force:
            for place, keeps in enumerate(holds(audit.cut.rule, book.space, features)):
                score[place] -= 0.0 if keeps else 100.0  # outside a cut: last
    order = sorted(range(len(fresh)), key=lambda place: (-score[place], place))[:SHOWN]
    return Answer(
        text=f"Untried, one move from {_of(parents)}, ranked by the supported principles.{hint}",
        headers=("of", "keeps", "architecture"),
        rows=[
            (near[fresh[place]].name, ", ".join(kept[place]) or "-", clean(fresh[place].text))
            for place in order
        ],
    )


def _of(parents: Sequence[Trial]) -> str:
    return names(t.number for t in parents)
