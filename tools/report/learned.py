"""The report's sections on principles and cuts, and the report of a run that learned from rows."""

from __future__ import annotations

from collections.abc import Iterator

from vitruvius.memory.model.ranking import MAX_TRIALS
from vitruvius.memory.records import Evidence, PrincipleVersion, RunStatus
from vitruvius.spaces.rules import words
from vitruvius.tasks.task import Metric
from vitruvius.tools.report.facts import CutReport, PrincipleReport, Report
from vitruvius.tools.report.words import plural, seconds, value_text
from vitruvius.tools.safe_text import code, escape, names

FEW_ROWS = 20


def principles(report: Report) -> Iterator[str]:
    """Yields the section on principles: first what an effect is, then one block each."""
    if not report.principles:
        yield "No principle was written or recalled."
        return
    yield (
        "An effect is the difference that keeping the rule makes to an architecture's rank, in "
        "standard deviations, other features adjusted for; positive means that the rule is good. "
        "Intervals are 95 % and hold at every look."
    )
    for principle in report.principles:
        yield "\n".join(_principle(principle, report.metric))


def effect_text(principle: PrincipleReport, metric: Metric) -> str:
    """Returns the measured effect in one clause, or what is known instead."""
    evidence = principle.evidence
    if evidence is None:
        if principle.source_effect is not None:
            return f"not measured here; {principle.source_effect:+.2f} in earlier runs"
        return "not measured"
    text = f"effect {evidence.effect:+.2f}, interval {evidence.low:+.2f} to {evidence.high:+.2f}"
    if evidence.points is not None:
        text += f", about {evidence.points:+.3g} {'points' if metric.unit == '%' else metric.unit}"
    return text.rstrip()


def _principle(principle: PrincipleReport, metric: Metric) -> Iterator[str]:
    version = principle.version
    yield f"**{version.name}**, {principle.standing}: {escape(version.statement)}"
    yield ""
    yield f"- Rule: {code(words(version.rule))}"
    yield f"- Measured: {escape(effect_text(principle, metric))}.{_support(principle.evidence)}"
    if principle.evidence is not None:
        yield (
            f"- Evidence: for {names(principle.evidence.supporting) or 'none'}; against "
            f"{names(principle.evidence.contradicting) or 'none'}."
        )
    if principle.trust is not None:
        yield (
            f"- Recalled from {_source(version)} with trust {principle.trust:.2f}"
            + (f"; there its effect was {principle.source_effect:+.2f}."
               if principle.source_effect is not None else ".")
        )  # fmt: skip
    last = {look.version: look for look in principle.looks}
    for ancestor in principle.lineage:
        yield f"- {_edit(ancestor)}{_look(last.get(ancestor.version))}"
    if principle.cuts:
        yield f"- Licensed {', '.join(f'cut {number}' for number in principle.cuts)}."


def _support(evidence: Evidence | None) -> str:
    if evidence is None:
        return ""
    checked = (
        ""
        if evidence.doubly_robust is None
        else f" The check by randomised trials says {evidence.doubly_robust:+.2f}."
    )
    return (
        f" {evidence.n_in} trials keep the rule, {evidence.n_out} do not, up to T{evidence.up_to} "
        f"(look {evidence.look}). It keeps {evidence.kept:.0%} of the space; a cut would remove "
        f"{evidence.top_loss:.1%} of the best 1 %, at most {evidence.top_loss_high:.1%}.{checked}"
    )


def _source(version: PrincipleVersion) -> str:
    where = f"task {code(version.task_name)}"
    return f"an import ({where})" if version.run_id is None else f"run {version.run_id} ({where})"


def _edit(version: PrincipleVersion) -> str:
    parents = f" from {', '.join(version.parents)}" if version.parents else ""
    run = f"run {version.run_id}, step {version.step}" if version.run_id else "imported"
    return (
        f"{version.name}: {version.edit}{parents} by {escape(version.author)} ({run}): "
        f"{escape(version.rationale)}"
    )


def _look(look: Evidence | None) -> str:
    if look is None:
        return ""
    return f" Last measured after T{look.up_to}: {look.effect:+.2f}, {look.standing}."


def cuts(report: Report) -> Iterator[str]:
    """Yields the section on cuts, each with its audit."""
    if not report.cuts:
        yield "Nothing: no principle was sure enough to cut."
        return
    yield f"{report.region_left:.1%} of the space is left by the cuts in force."
    for audit in report.cuts:
        yield "\n".join(_cut(audit))


def _cut(audit: CutReport) -> Iterator[str]:
    cut = audit.cut
    provisional = ", provisional" if cut.provisional else ""
    yield f"**Cut {cut.number}** by {cut.principle}{provisional}: {escape(cut.reason)}"
    yield ""
    yield f"- Keeps: {code(words(cut.rule))}, {cut.kept:.0%} of the space."
    if cut.provisional:
        yield "- What it may cost was not measured in this run when it was made."
    else:
        yield f"- May cost at most {cut.top_loss_high:.1%} of the best 1 % (90 % bound when made)."
    if audit.during:
        yield (
            f"- Saved about {audit.spared:.3g} of {len(audit.during)} trials chosen under it, had "
            f"they been drawn uniformly ({names(audit.during)}), {seconds(audit.spared_s)} of "
            "training."
        )
    if audit.loss_now is not None:
        yield (
            f"- By all trials it removes {audit.loss_now[0]:.1%} of the best 1 %, at most "
            f"{audit.loss_now[1]:.1%}."
        )
    if audit.best_outside is None:
        yield f"- Known outside: {names(audit.outside) or 'no trial'}, no score."
    else:
        value, number = audit.best_outside
        yield f"- Known outside: {names(audit.outside)}; the best is {value:.4g} (T{number})."
    if cut.in_force:
        yield f"- In force since step {cut.made_step}."
    else:
        yield (
            f"- Made at step {cut.made_step}, undone at step {cut.undone_step} by "
            f"{escape(cut.undone_by or '?')}: {escape(cut.undone_reason or 'no reason given')}"
        )


def lesson_markdown(report: Report) -> str:
    """Returns the whole report, the same text for the same rows."""
    doubts = "\n".join(f"- {doubt}" for doubt in doubts_of_lesson(report))
    parts = [
        f"# Report of run {report.run.id}",
        *_given(report),
        "## What to distrust",
        doubts or "Nothing in the rows raises a doubt.",
        "## What was learned",
        *principles(report),
    ]
    return "\n\n".join(parts) + "\n"


def lesson_summary(report: Report) -> str:
    """Returns what a person wants to know first: what was given, and what was learned from it."""
    lines = [
        f"- {p.version.name}: {escape(p.version.statement)} ({effect_text(p, report.metric)})"
        for p in report.principles
    ]
    parts = [
        f"## What run {report.run.id} learned",
        *_given(report),
        "\n".join(lines) or "No principle is borne out by the rows.",
    ]
    doubts = list(doubts_of_lesson(report))
    if doubts:
        parts += ["## What to distrust", "\n".join(f"- {doubt}" for doubt in doubts)]
    return "\n\n".join(parts) + "\n"


def _given(report: Report) -> Iterator[str]:
    run, told = report.run, report.run.settings.get("learn", {})
    came = f"the trials of run {run.parent}" if run.parent else code(run.task_ref or run.task_name)
    chosen = []
    if told.get("rows"):
        chosen.append(f"{told['rows']:,} drawn at random with seed {run.seed}")
    if told.get("best"):
        chosen.append(f"the best {told['best']:,} only")
    said = f" ({', of these '.join(chosen)})" if chosen else ""
    yield (
        f"{plural(report.n_trials, 'row')}{said} of {came}, called {code(run.task_name)}, in space "
        f"{code(run.space_ref or run.space_name)}. Nothing was trained. Status {run.status}."
    )
    if report.n_trials > MAX_TRIALS:
        yield (
            f"T1-T{MAX_TRIALS} condition the statistics: a random sample first, then the best of "
            f"the rest, decided by seed {run.seed}. A search that uses this run sees every row."
        )
    if report.best is not None and report.best.finalist.found.value is not None:
        found = report.best.finalist.found
        yield (
            f"The best row is {found.name}, {value_text(found.value or 0.0, report.metric)}: "
            f"{code(found.architecture.text)}"
        )


def doubts_of_lesson(report: Report) -> Iterator[str]:
    """Yields what to distrust in what was learned from rows."""
    told = report.run.settings.get("learn", {})
    if report.run.status != RunStatus.DONE:
        yield f"The run is {report.run.status}: `vitruvius resume {report.run.id}` ends it."
    if report.n_trials < FEW_ROWS:
        yield f"Only {plural(report.n_trials, 'row')}; below {FEW_ROWS} most differences are luck."
    if told.get("best"):
        yield (
            "Only the best rows were given, so principles tell good from very good. What the best "
            "have in common guides the model of a search, and is no principle here."
        )
