"""Asking a person first: about what, at what price, and what their answer changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vitruvius.agents.chairs.constraints import context_of
from vitruvius.budget import Budget
from vitruvius.graphs.search import decide as deciding
from vitruvius.graphs.search.session import Session
from vitruvius.memory.decisions import Decision
from vitruvius.memory.records import DecisionStatus, Origin
from vitruvius.tools.calls.registry import read_decision
from vitruvius.tools.calls.schemas import Problem
from vitruvius.tools.calls.tool import Tool
from vitruvius.tools.calls.train import Train, parsed

ASKED, APPROVED = "asked", "approved"  # lines of the journal, numbered by step

Price = Mapping[str, float | None]


def price_of(session: Session, decision: Decision) -> Price:
    """Returns what a decision is likely to cost, None where the run cannot tell yet.

    Seconds of training: of the run's own mean training, times the trainings. Tokens and dollars:
    what a decision of the run has cost on average.
    """
    known = [t.train_s for t in session.reader.digest().search if t.train_s is not None]
    count = len(decision.plans)
    seconds = 0.0 if count == 0 else count * sum(known) / len(known) if known else None
    spent, steps = session.spent(), max(1, session.reader.steps())
    return {
        "seconds": seconds,
        "tokens": round(spent.tokens / steps),
        "dollars": spent.dollars / steps,
    }


def is_asked_about(session: Session, decision: Decision) -> bool:
    """Returns whether a person must be asked: not about wishes, nor twice about what they approved.

    Where the settings name a price, what costs more; else every training and every cut.
    """
    asked, limits = decision.call, session.policy.ask_above
    is_costly = isinstance(asked, Tool) and asked.IS_COSTLY
    if decision.wish is not None or (limits is None and not is_costly):
        return False
    if limits is not None and not is_above(price_of(session, decision), limits):
        return False
    return not _is_noted(session, APPROVED, decision)


def note_asked(session: Session, decision: Decision) -> None:
    """Notes that somebody is being asked, before they are."""
    session.ledger.steps.mark(session.run.id, ASKED, decision.step, {})


def is_waiting(session: Session, decision: Decision) -> bool:
    """Returns whether somebody was asked about the decision and nobody has answered."""
    is_asked = _is_noted(session, ASKED, decision)
    return is_asked and not _is_noted(session, APPROVED, decision)


def question(session: Session, decision: Decision, problem: str | None) -> dict[str, Any]:
    """Returns what the person is shown; `problem` is with the call that they wrote before."""
    asked: dict[str, Any] = {
        "decision": decision.id,
        "step": decision.step,
        "author": decision.author,
        "call": dict(decision.written),
        "price": dict(price_of(session, decision)),
    }
    return asked | ({"problem": problem} if problem else {})


def edited(session: Session, decision: Decision, written: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the call that a person wrote in a decision's place, as it can be carried out.

    They may change its arguments, not its tool. The trials that the program put in stay.

    Raises:
        Problem: it cannot; the sentence says how to mend it.
    """
    old = decision.written
    names = ("tool", "reason", "architectures", "action", "principle", "cut")
    # Of what was written only arguments count: nobody edits seeds, origins or a wish's number.
    new = {name: old[name] for name in names if name in old}
    new |= {name: value for name, value in written.items() if name in names}
    if new["tool"] != old["tool"]:
        raise Problem(
            DecisionStatus.INVALID,
            f"this is a decision to {old['tool']}: change its arguments, or refuse it",
        )
    if isinstance(new.get("architectures"), list):
        new["architectures"] = [parsed(one, session.space).spec for one in new["architectures"]]
    asked = read_decision(new)
    forced = [plan for plan in decision.plans if plan.origin != Origin.ARCHITECT]
    spent = session.spent()
    room = max(0, int(min(session.reader.search_left(spent), 1_000_000)) - len(forced))
    view = session.reader.view(decision.step, "edit", room, spent)
    checked = asked.check(context_of(view))
    call = {**old, **checked.decision.model_dump(mode="json"), "edited": True}
    if isinstance(checked.decision, Train):
        plans = forced + [deciding.chosen(session, a) for a in checked.architectures]
        call["trials"] = [plan.written for plan in plans]
    return call


def take_answer(session: Session, decision: Decision, answer: Mapping[str, Any]) -> Decision:
    """Stores a person's yes, and the call that they wrote if they did; returns the decision."""
    if isinstance(written := answer.get("call"), Mapping):
        decision = session.amend(decision, edited(session, decision, written))
    session.ledger.steps.mark(session.run.id, APPROVED, decision.step, {})
    return decision


def _is_noted(session: Session, name: str, decision: Decision) -> bool:
    lines = session.ledger.steps.marks(session.run.id, name, last=1)
    return bool(lines) and lines[-1].step == decision.step


def is_above(price: Price, limits: Budget) -> bool:
    """Returns whether a price passes a limit, or might: one that is not known does."""
    pairs = (
        (price["seconds"], limits.wall_s),
        (price["tokens"], limits.tokens),
        (price["dollars"], limits.dollars),
    )
    return any(limit is not None and (amount is None or amount > limit) for amount, limit in pairs)
