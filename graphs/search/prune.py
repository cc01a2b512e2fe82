"""Cuts: made where the evidence licenses them, undone where it no longer does."""

from __future__ import annotations

from collections.abc import Mapping

from vitruvius.agents.chairs.view import PrincipleView
from vitruvius.errors import ToolError
from vitruvius.events import EventKind
from vitruvius.graphs.search.provisional_trust import loan_problem
from vitruvius.graphs.search.session import Session
from vitruvius.memory.decisions import Decision
from vitruvius.memory.evidence.effects import licenses_cut
from vitruvius.memory.records import PERSON, CutRecord, Standing
from vitruvius.spaces.region import Cut
from vitruvius.spaces.rules import Rule, words
from vitruvius.tools.calls.prune import Prune

MAX_CUTS = 6
HEADROOM = 0.6  # of the limit that cuts may use up when made; the rest is for later looks
EVIDENCE = "evidence"  # who undoes a cut that has lost its licence
PROGRAM = "program"  # who undoes one to go on
USELESS_CUT = 0.98  # a cut that keeps more than this share saves nothing


def prune_by_evidence(session: Session) -> None:
    """Brings the region in line with the last verification; doing so twice changes nothing.

    The bounds of all cuts in force add up to at most the limit that one cut has. A cut is made
    where they use up no more than `HEADROOM` of it, lest the next look undo it.
    """
    principles = {view.version.name: view for view in session.reader.principles()}
    step, room = session.reader.steps(), HEADROOM * session.policy.cut_loss
    loss = _undo_unlicensed(session, principles, step)
    stays_away = {
        cut.rule.key
        for cut in session.ledger.cuts.of(session.run.id)
        if cut.undone_by not in (None, EVIDENCE)
    }
    candidates = [
        view
        for view in principles.values()
        if view.version.rule.key not in stays_away and _licence_problem(session, view) is None
    ]
    # Those that remove most come first: the bounds of all cuts share one limit.
    for view in sorted(candidates, key=_removed, reverse=True):
        fits = loss + _loss(view) <= room
        if fits and len(_in_force(session)) < MAX_CUTS:
            made = _try_cut(session, view, _reason(view), step)
            loss += _loss(view) if made is not None else 0.0


def _undo_unlicensed(session: Session, principles: Mapping[str, PrincipleView], step: int) -> float:
    """Undoes what has lost its licence or loan; returns the summed bounds of what is licensed."""
    loss = 0.0
    for cut in _in_force(session):
        view = principles.get(cut.principle)
        problem = _licence_problem(session, view)
        if problem is None and loss + _loss(view) > session.policy.cut_loss:
            problem = f"together the cuts could remove {loss + _loss(view):.1%} of the best 1 %"
        if problem is None:
            loss += _loss(view)
            continue
        if cut.provisional and view is not None:
            problem = loan_problem(view, session.reader.last_verified())
        if problem is not None:
            _undo(session, cut, step, EVIDENCE, problem)
    return loss


def _undo(session: Session, cut: CutRecord, step: int, by: str, problem: str) -> None:
    session.ledger.cuts.undo(session.run.id, cut.number, step, by, problem)
    session.tell(
        EventKind.CUT,
        f"cut {cut.number} undone: {problem}",
        cut=cut.number,
        principle=cut.principle,
        undone=True,
    )


def widen_region(session: Session, step: int) -> bool:
    """Undoes the cut that most of the best may lie behind; returns False where there is none.

    For a region with nothing untried left: the run goes on outside. The cut stays away.
    """
    principles = {view.version.name: view for view in session.reader.principles()}
    cuts = _in_force(session)
    if not cuts:
        return False
    doubtful = max(
        cuts, key=lambda c: (c.provisional, _loss(principles.get(c.principle)), c.number)
    )
    _undo(session, doubtful, step, PROGRAM, "nothing untried is left in the region")
    return True


def _reason(view: PrincipleView) -> str:
    evidence = view.evidence
    if evidence is None:
        return "the evidence licenses it"
    return (
        f"effect {evidence.effect:+.2f} ({evidence.low:+.2f} to {evidence.high:+.2f}) on "
        f"{evidence.n_in + evidence.n_out} trials; at most {evidence.top_loss_high:.1%} of the "
        "best 1 % lies outside (90 % bound)"
    )


def _loss(view: PrincipleView | None) -> float:
    return view.evidence.top_loss_high if view is not None and view.evidence is not None else 0.0


def prune_by_decision(session: Session, decision: Decision, asked: Prune) -> str:
    """Cuts or undoes as somebody asked, if the evidence allows it; returns what happened.

    Raises:
        ToolError: the cut has no licence, is there already, or would leave too little.
    """
    step, is_wish = decision.step, decision.wish is not None
    reason = asked.reason or "no reason given"
    if asked.action == "undo":
        by = PERSON if is_wish else decision.author
        session.ledger.cuts.undo(session.run.id, int(asked.cut or 0), step, by, reason)
        return f"cut {asked.cut} is undone"
    name = str(asked.principle)
    view = next((v for v in session.reader.principles() if f"P{v.version.principle}" == name), None)
    if view is None:
        raise ToolError(f"this run has no principle {name}")
    problem = _licence_problem(session, view)
    if not is_wish:  # who asks may think again
        problem = problem or _undone_for_good(session, view.version.rule)
    if problem is not None:
        raise ToolError(f"{name} may not cut: {problem}")
    made = _try_cut(session, view, reason, step)
    if made is None:
        raise ToolError(f"{name} may not cut: it would add nothing, or leave too little")
    return f"cut {made.number} by {view.version.name}: {words(made.rule)}"


def _undone_for_good(session: Session, rule: Rule) -> str | None:
    """Returns why no chair may cut by this rule again, or None."""
    undone = {c.undone_by for c in session.ledger.cuts.of(session.run.id) if c.rule.key == rule.key}
    if PERSON in undone:
        return "the person undid this cut"
    return "it left nothing untried and was undone" if PROGRAM in undone else None


def _in_force(session: Session) -> list[CutRecord]:
    return [cut for cut in session.ledger.cuts.of(session.run.id) if cut.in_force]


def _removed(view: PrincipleView) -> float:
    return 1.0 - view.evidence.kept if view.evidence else 0.0


def _licence_problem(session: Session, view: PrincipleView | None) -> str | None:
    """Returns why a version may not cut now, or None."""
    if view is None:
        return "its principle is rewritten or retired"
    evidence = view.evidence
    if evidence is None:
        return "it is not measured in this run yet"
    if evidence.standing != Standing.SUPPORTED:
        return f"it is {evidence.standing}"
    if not licenses_cut(evidence, session.policy.cut_loss):
        return (
            f"it could remove {evidence.top_loss_high:.1%} of the best 1 % "
            f"(must be below {session.policy.cut_loss:.1%})"
        )
    return None


def _try_cut(
    session: Session, view: PrincipleView, reason: str, step: int, *, provisional: bool = False
) -> CutRecord | None:
    region, version, evidence = session.reader.region(), view.version, view.evidence
    if any(
        cut.principle == version.name or cut.rule.key == version.rule.key for cut in region.cuts
    ):
        return None
    cut = Cut(number=0, rule=version.rule, principle=version.name, reason=reason)
    try:
        smaller = region.with_cut(cut)
    except ToolError:
        return None
    if smaller.fraction() > USELESS_CUT * region.fraction():
        return None
    record = session.ledger.cuts.add(
        session.run.id,
        step,
        rule=version.rule,
        principle=version.name,
        reason=reason,
        provisional=provisional,
        kept=smaller.fraction(),
        top_loss_high=evidence.top_loss_high if evidence else 0.0,
    )
    session.tell(
        EventKind.CUT,
        f"cut {record.number} by {version.name}: keep {words(version.rule)} "
        f"({smaller.fraction():.0%} of the space is left)",
        cut=record.number,
        principle=version.name,
        kept=record.kept,
        undone=False,
    )
    return record


def cut_provisionally(session: Session, view: PrincipleView, reason: str) -> None:
    """Cuts on the word of earlier runs; this run's evidence takes its place."""
    _try_cut(session, view, reason, 0, provisional=True)
