"""Answers about what was learned: principles, cuts, proxies, a section of the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from vitruvius.errors import ToolError
from vitruvius.memory.evidence.calibration import verdict
from vitruvius.memory.records import Standing
from vitruvius.spaces.rules import words
from vitruvius.tools.questions.book import Answer, Book
from vitruvius.tools.report import Report, to_markdown
from vitruvius.tools.report.facts import CutReport, PrincipleReport
from vitruvius.tools.report.learned import effect_text
from vitruvius.tools.safe_text import clean, names

MOST_SECTION = 6000  # characters


def principles(book: Book) -> Answer:
    """Returns the principles that the run works with, the best supported first."""
    found = [p for p in book.report.principles if p.standing != Standing.RETIRED]
    if not found:
        return Answer(text=f"Run {book.run_id} holds no principle yet.")
    counts = {s: sum(p.standing == s for p in found) for s in Standing}
    said = ", ".join(f"{n} {standing}" for standing, n in counts.items() if n)
    return Answer(
        text=f"{len(found)} principles: {said}. An effect is a difference of rank, in standard "
        "deviations, with its 95 % interval.",
        headers=("name", "standing", "effect", "rule", "for", "against", "statement"),
        rows=[_row(p) for p in found],
    )


def _row(principle: PrincipleReport) -> tuple[str, ...]:
    version, evidence = principle.version, principle.evidence
    return (
        version.name,
        principle.standing.value,
        f"{evidence.effect:+.2f} ({evidence.low:+.2f} to {evidence.high:+.2f})" if evidence else "",
        clean(words(version.rule)),
        names(evidence.supporting) if evidence else "",
        names(evidence.contradicting) if evidence else "",
        clean(version.statement),
    )


def helps(book: Book) -> Answer:
    """Returns what raises the score by the run's own evidence, and what does not."""
    known = [p for p in book.report.principles if p.evidence is not None]
    held = [p for p in known if p.standing == Standing.SUPPORTED]
    against = [p for p in known if p.standing in (Standing.CONTRADICTED, Standing.WEAKENED)]
    lines = [f"{_said(book, p)}" for p in sorted(held, key=_effect, reverse=True)]
    lines = ["What helps, the strongest first:", *lines] if lines else []
    if against:
        lines += ["What was believed and does not hold:", *(_said(book, p) for p in against)]
    open_ = [p.version.name for p in known if p.standing == Standing.CANDIDATE]
    if open_:
        lines.append(f"Not decided yet: {', '.join(open_)}.")
    if not lines:
        return Answer(
            text=f"Nothing is known to help in run {book.run_id} yet: no principle was measured on "
            f"its {len(book.finished)} scored trials."
        )
    return Answer(text="\n".join(lines))


def _effect(principle: PrincipleReport) -> float:
    return principle.evidence.effect if principle.evidence else 0.0


def _said(book: Book, principle: PrincipleReport) -> str:
    evidence = principle.evidence
    trials = ""
    if evidence is not None:
        trials = (
            f"; for it {names(evidence.supporting) or 'none'}, against it "
            f"{names(evidence.contradicting) or 'none'}"
        )
    return (
        f"- {principle.version.name}: {clean(words(principle.version.rule))} "
        f"({effect_text(principle, book.report.metric)}{trials})"
    )


def lessons(book: Book) -> Answer:
    """Returns what the run learned and what of it to distrust."""
    told = helps(book).text
    doubts = "\n".join(f"- {clean(doubt)}" for doubt in book.report.distrust[:5])
    cuts = [a for a in book.report.cuts if a.cut.in_force]
    pruned = f"{len(cuts)} cuts are in force; {book.report.region_left:.0%} of the space is left."
    parts = [told, pruned if cuts else "Nothing is pruned."]
    if doubts:
        parts.append(f"What to distrust:\n{doubts}")
    return Answer(text="\n".join(parts))


def region(book: Book) -> Answer:
    """Returns the cuts of the run, those undone included."""
    if not book.report.cuts:
        return Answer(text=f"Run {book.run_id} has cut nothing: the whole space is searched.")
    return Answer(
        text=f"{book.report.region_left:.1%} of the space is left by the cuts in force.",
        headers=("cut", "state", "keeps", "may lose", "by", "known outside", "reason"),
        rows=[_cut_row(book, audit) for audit in book.report.cuts],
    )


def _cut_row(book: Book, audit: CutReport) -> Sequence[str]:
    cut = audit.cut
    return (
        str(cut.number),
        "in force" if cut.in_force else f"undone by {clean(cut.undone_by or '?')}",
        clean(words(cut.rule)),
        "not measured" if cut.provisional else f"<= {cut.top_loss_high:.1%}",
        cut.principle,
        names(audit.outside) or "no trial",
        clean(cut.reason),
    )


def proxies(book: Book) -> Answer:
    """Returns what each training-free score is worth here, beside parameter count."""
    found = book.report.calibrations
    if not found:
        return Answer(text="No proxy was computed for enough trained architectures to judge it.")
    order = sorted(found, key=lambda one: -abs(one.spearman))
    return Answer(
        text=f"Rank correlation with the trained scores ({names(book.report.calibrated_on)}).",
        headers=("proxy", "trials", "correlation", "given what is counted", "verdict"),
        rows=[
            (
                one.proxy,
                str(one.n),
                f"{one.spearman:+.2f} ({one.low:+.2f} to {one.high:+.2f})",
                "" if one.partial is None else f"{one.partial:+.2f}",
                verdict(one),
            )
            for one in order
        ],
    )


def section(book: Book, name: str) -> Answer:
    """Returns one section of the report, by a word of its title.

    Raises:
        ToolError: no section is called like that.
    """
    parts = to_markdown(_without_tests(book)).split("\n## ")[1:]
    for part in parts:
        title, _, body = part.partition("\n")
        if name.strip().lower() in title.lower():
            return Answer(text=f"{title}\n{body.strip()[:MOST_SECTION]}")
    known = "; ".join(part.partition("\n")[0] for part in parts)
    raise ToolError(f"the report has no section {name!r:.60}; it has: {known}")


def _without_tests(book: Book) -> Report:
    report = book.report
    blind = [replace(one, test=None) for one in report.finalists]
    best = report.best
    return replace(
        report,
        finalists=blind,
        best=replace(best, finalist=replace(best.finalist, test=None)) if best else None,
    )


def history(book: Book, principle: PrincipleReport) -> Iterator[str]:
    """Yields the versions of a principle: what each said, who wrote it, and why."""
    for version in principle.lineage:
        parents = f" from {', '.join(version.parents)}" if version.parents else ""
        yield (
            f"{version.name}: {version.edit}{parents} by {clean(version.author)}"
            f"{f' at step {version.step}' if version.run_id == book.run_id else ''}: "
            f"{clean(version.rationale)}"
        )
