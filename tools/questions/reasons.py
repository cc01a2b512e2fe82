"""Answers to why: why a trial is where it is, why a principle stands, why something was cut."""

from __future__ import annotations

import re
from collections.abc import Iterator

from vitruvius.errors import ToolError
from vitruvius.memory.records import Trial
from vitruvius.spaces.rules import words
from vitruvius.tools.questions.book import Answer, Book
from vitruvius.tools.questions.learned import history
from vitruvius.tools.questions.looking import keeps_rule, supported
from vitruvius.tools.report.facts import CutReport
from vitruvius.tools.report.learned import effect_text
from vitruvius.tools.safe_text import clean, names

MOST_NEIGHBOURS = 5


def why(book: Book, name: str) -> Answer:
    """Returns why: of a trial (T17 or best), a principle (P3), a cut (C2), the name of a choice.

    Raises:
        ToolError: the run has nothing of that name.
    """
    asked = name.strip()
    if asked.lower() == "best":
        if book.report.best is None:
            raise ToolError("no trial has finished with a score yet, so there is no best one")
        asked = book.report.best.finalist.found.name
    if re.fullmatch(r"[Tt]\d+", asked):
        return why_trial(book, asked)
    if re.fullmatch(r"[Pp]\d+(\.\d+)?", asked):
        return why_principle(book, asked)
    if re.fullmatch(r"[Cc]?\d+", asked):
        return Answer(text="\n".join(_cut(book, book.cut(asked))))
    return why_cut(book, asked)


def why_trial(book: Book, name: str) -> Answer:
    """Returns why a trial is as good as it is: what it keeps, and what its neighbours scored."""
    one = book.trial(name)
    return Answer(text="\n".join(_of_trial(book, one)), picture=book.space.draw(one.architecture))


def _of_trial(book: Book, one: Trial) -> Iterator[str]:
    if one.value is None:
        problem = f", {clean(one.problem)}" if one.problem else ""
        yield f"{one.name} has no score: {one.status}{problem}."
    else:
        place = [t.number for t in book.finished]
        rank = (
            f", rank {place.index(one.number) + 1} of {len(place)}" if one.number in place else ""
        )
        yield f"{one.name} scored {book.value(one)}{rank}."
    again = [t for t in book.of(one.architecture) if t.number != one.number and t.value is not None]
    if again:
        scores = ", ".join(f"{book.value(t)} ({t.name})" for t in again)
        yield f"The same architecture on other seeds: {scores}."
    yield from _by_principles(book, one)
    yield from _by_neighbours(book, one)
    noise = book.report.noise
    if noise is not None:
        yield (
            f"Seeds alone move a score by {noise.deviation:.3g} (one deviation; "
            f"{names(noise.trials)}): smaller differences say nothing."
        )


def _by_principles(book: Book, one: Trial) -> Iterator[str]:
    held = supported(book)
    keeps = [p for p in held if keeps_rule(book, p, one)]
    breaks = [p for p in held if not keeps_rule(book, p, one)]
    for verb, group in (("It keeps", keeps), ("It does not keep", breaks)):
        for p in group:
            evidence = p.evidence
            rests = f"; for it {names(evidence.supporting)}" if evidence else ""
            yield (
                f"{verb} {p.version.name}: {clean(words(p.version.rule))} "
                f"({effect_text(p, book.report.metric)}{rests})."
            )
    if not held:
        yield "No principle is supported yet, so none explains it."


def _by_neighbours(book: Book, one: Trial) -> Iterator[str]:
    """Yields trials that differ in one slot: the nearest thing to an experiment that there is."""
    if not book.space.slots:
        return
    spec = one.architecture.spec
    near = []
    for other in book.finished:
        changed = [
            s.name for s in book.space.slots if spec[s.name] != other.architecture.spec[s.name]
        ]
        if len(changed) == 1:
            near.append((other, changed[0]))
    for other, slot in near[:MOST_NEIGHBOURS]:
        has, had = clean(str(other.architecture.spec[slot])), clean(str(spec[slot]))
        yield f"{other.name} differs in {slot} alone ({has} for {had}): {book.value(other)}."
    if not near:
        yield "No other trial differs from it in one part alone, so no pair of trials explains it."


def why_principle(book: Book, name: str) -> Answer:
    """Returns a principle's history and evidence, with the trials for and against it."""
    found = book.principle(name)
    version, evidence = found.version, found.evidence
    lines = [
        f"{version.name} is {found.standing}: {clean(version.statement)}",
        f"Its rule: {clean(words(version.rule))}.",
        f"Measured: {effect_text(found, book.report.metric)}.",
    ]
    if evidence is not None:
        lines += [
            f"{evidence.n_in} trials keep the rule, {evidence.n_out} do not, up to "
            f"T{evidence.up_to} (look {evidence.look}).",
            f"For it: {names(evidence.supporting) or 'none'}. Against it: "
            f"{names(evidence.contradicting) or 'none'}.",
            f"A cut would keep {evidence.kept:.0%} of the space and could remove "
            f"{evidence.top_loss_high:.1%} of its best 1 % at most (90 % bound).",
        ]
    if found.trust is not None:
        lines.append(f"It came from an earlier run, with trust {found.trust:.2f}.")
    lines += history(book, found)
    if found.cuts:
        lines.append(f"It licensed cut {', '.join(map(str, found.cuts))}.")
    return Answer(text="\n".join(lines))


def why_cut(book: Book, asked: str) -> Answer:
    """Returns why something was cut: the cuts whose rule names it.

    Raises:
        ToolError: no cut, and nothing of the space, is called like that.
    """
    wanted = asked.lower()
    found = [a for a in book.report.cuts if wanted in words(a.cut.rule).lower()]
    if found:
        return Answer(text="\n".join(line for audit in found for line in _cut(book, audit)))
    known = {slot.name for slot in book.space.slots}
    known |= {choice for slot in book.space.slots for choice in slot.names}
    known |= {feature.name for feature in book.space.features}
    if not any(wanted in name.lower() for name in known):
        raise ToolError(
            f"nothing here is called {asked!r:.60}; ask about a trial (T17), a principle (P3), a "
            "cut (C2), or a choice of the space"
        )
    about = [p for p in book.report.principles if wanted in words(p.version.rule).lower()]
    with_it = [t for t in book.finished if wanted in t.architecture.text.lower()]
    text = f"No cut is about {clean(asked)}: it was not pruned."
    if with_it:
        text += (
            f" The best of {len(with_it)} trials with it is {with_it[0].name}, "
            f"{book.value(with_it[0])}."
        )
    for p in about:
        text += f"\n{p.version.name} speaks of it ({p.standing}, "
        text += f"{effect_text(p, book.report.metric)}): {clean(words(p.version.rule))}."
    return Answer(text=text)


def _cut(book: Book, audit: CutReport) -> Iterator[str]:
    cut = audit.cut
    yield f"Cut {cut.number} keeps only {clean(words(cut.rule))}, by {cut.principle}."
    yield f"Its reason: {clean(cut.reason)}."
    principle = next(
        (
            p
            for p in book.report.principles
            if cut.principle.split(".")[0] == f"P{p.version.principle}"
        ),
        None,
    )
    if principle is not None and principle.evidence is not None:
        evidence = principle.evidence
        yield (
            f"Trials for it: {names(evidence.supporting) or 'none'}; against it: "
            f"{names(evidence.contradicting) or 'none'}."
        )
    if audit.best_outside is None:
        yield f"Known outside it: {names(audit.outside) or 'no trial'}, no score."
    else:
        value, number = audit.best_outside
        yield f"Known outside it: {names(audit.outside)}; the best is {value:.4g} (T{number})."
    if not cut.in_force:
        said = f": {clean(cut.undone_reason)}" if cut.undone_reason else ""
        yield f"It was undone at step {cut.undone_step} by {clean(cut.undone_by or '?')}{said}."
