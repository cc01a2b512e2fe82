"""What to try next, ranked: untried neighbours of the best, by what the principles say of them."""

from __future__ import annotations

from collections.abc import Sequence

from vitruvius.memory.records import Standing, Trial
from vitruvius.spaces.rules import holds
from vitruvius.tools.questions.book import Answer, Book
from vitruvius.tools.questions.looking import supported
from vitruvius.tools.safe_text import clean, names

SHOWN = 5
PARENTS = 3  # best architectures whose neighbours are looked at


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
