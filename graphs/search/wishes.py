"""Wishes: what people ask of a run from outside its loop, taken up before its own next decision.

A wish to train or to prune becomes a decision of its author, checked as any other, and closed with
it. A principle that somebody states or gives up becomes an edit, a reflection of its own that ends
with a measurement; it shifts neither the theorist's turns nor the repeats. A kill at any instant
loses no wish and carries out none twice: what a wish became is found in the journal or in the
decision, and what became of it is written last.
"""

from __future__ import annotations

from typing import Any

from vitruvius.agents.chairs.constraints import ground_of
from vitruvius.agents.chairs.understanding import Understands
from vitruvius.errors import ToolError
from vitruvius.events import EventKind
from vitruvius.graphs.search import decide as deciding
from vitruvius.graphs.search import reflect as reflecting
from vitruvius.graphs.search.session import Session
from vitruvius.memory.edits import Add, Edit, Retire, Revise
from vitruvius.memory.ledger.requests import Wish, WishStatus
from vitruvius.memory.records import Decision, DecisionStatus, Evidence, Mark
from vitruvius.spaces.rule_words import read_rule
from vitruvius.spaces.rules import Rule, words
from vitruvius.tools.calls.decisions import Prune, Train
from vitruvius.tools.calls.untrusted import Problem
from vitruvius.tools.calls.validate import check, check_edit
from vitruvius.tools.calls.wishes import (
    NoteWish,
    PrincipleWish,
    PruneWish,
    RetireWish,
    TrainWish,
    parsed,
    read_wish,
)

MOST_AT_ONCE = 32  # architectures in one wish


async def take_wish(session: Session) -> Decision | None:
    """Takes up the oldest open wish, if any; returns the decision that it became, or None."""
    due = await session.call(session.reader.open_wishes)
    if not due:
        return None
    wish = due[0]
    try:
        read = read_wish(wish.call)
        match read:
            case TrainWish() | PruneWish():
                return await session.call(_decide, session, wish, read)
            case PrincipleWish() | RetireWish():
                await _edit(session, wish, read)
            case NoteWish():
                await session.call(_note, session, wish)
    except ToolError as error:
        await session.call(_close, session, wish, WishStatus.REFUSED, str(error))
    return None


def tell_closed(session: Session, decision: Decision) -> None:
    """Tells what became of the wish that a decision was; nothing where it was none."""
    if (number := decision.call.get("wish")) is None:
        return
    wish = session.ledger.requests.wish(int(number))
    if wish.status != WishStatus.OPEN:
        _tell(session, wish)


def _decide(session: Session, wish: Wish, read: TrainWish | PruneWish) -> Decision:
    """Returns the decision that the wish becomes.

    Raises:
        ToolError: it cannot be carried out as asked.
    """
    step, spent = session.reader.steps(), session.spent()
    if isinstance(read, PruneWish):
        ground = ground_of(session.reader.view(step, "wish", 1, spent))
        name = None if read.principle is None else read.principle.split(".")[0]
        asked = Prune(action=read.action, principle=name, cut=read.cut, reason=read.reason)
        check(asked, ground)
        call: dict[str, Any] = asked.model_dump(mode="json")
    else:
        room = int(min(MOST_AT_ONCE, session.reader.search_left(spent)))
        if room == 0:
            raise Problem(
                DecisionStatus.OVER_BUDGET,
                "the budget has no trial left for the search; fork the run with another budget",
            )
        ground = ground_of(session.reader.view(step, "wish", room, spent))
        specs = [parsed(one, session.space).spec for one in read.architectures]
        checked = check(Train(architectures=specs, reason=read.reason), ground)
        call = checked.decision.model_dump(mode="json")
        call["trials"] = [deciding.chosen(session, one) for one in checked.architectures]
    decision = session.accept_wish(wish, step, {**call, "wish": wish.id})
    deciding.tell_decision(session, decision)
    return decision


async def _edit(session: Session, wish: Wish, read: PrincipleWish | RetireWish) -> None:
    """Writes the edit into the journal, applies and measures it, and closes the wish."""
    line = await session.call(_line_of, session, wish)
    if line is None:
        if await session.call(_has_unfinished_rewrite, session):
            await reflecting.rewrite_principles(session)  # of the theorist, killed half-way
            return
        edit = await _edit_of(session, wish, read)
        line = await session.call(_write_line, session, wish, edit)
    await session.call(_apply, session, wish, line)


def _line_of(session: Session, wish: Wish) -> Mark | None:
    lines = session.ledger.steps.marks(session.run.id, reflecting.PROPOSED)
    return next((line for line in lines if line.data.get("wish") == wish.id), None)


def _has_unfinished_rewrite(session: Session) -> bool:
    lines = session.ledger.steps.marks(session.run.id, reflecting.PROPOSED, last=1)
    done = session.ledger.steps.count_marks(session.run.id, reflecting.REFLECTED)
    return bool(lines) and lines[-1].step >= done


async def _edit_of(session: Session, wish: Wish, read: PrincipleWish | RetireWish) -> Edit:
    """Returns the edit that the wish asks for, checked.

    Raises:
        ToolError: it cannot be made, or its words cannot be understood.
    """
    view = await session.call(session.wish_view)
    ground = ground_of(view)
    name = None if read.principle is None else read.principle.split(".")[0]
    if isinstance(read, RetireWish):
        return check_edit(Retire(principle=str(name), rationale=read.reason), ground)
    rule = read.rule if read.rule is not None else await _rule_of(session, wish, read.statement)
    if name is None:
        edit: Edit = Add(rationale=read.reason, statement=read.statement, rule=rule)
    else:
        edit = Revise(principle=name, rationale=read.reason, statement=read.statement, rule=rule)
    return check_edit(edit, ground)


async def _rule_of(session: Session, wish: Wish, said: str) -> Rule:
    """Returns the rule that plain words mean: read by the program, else by the model.

    Raises:
        ToolError: neither can read it.
    """
    try:
        return read_rule(said, session.space)
    except ToolError:
        if not isinstance(session.theorist, Understands):
            raise
    view = await session.call(session.wish_view)
    rewrite = await session.theorist.understand(view, said)
    await session.call(reflecting.book, session, rewrite, view.step)
    for edit in rewrite.edits:
        if isinstance(edit, Add):
            return edit.rule
    told = rewrite.turned_down[-1].problem if rewrite.turned_down else "it gave no rule"
    raise ToolError(f"{rewrite.author} could not put this into a rule: {told}")


def _write_line(session: Session, wish: Wish, edit: Edit) -> Mark:
    run_id = session.run.id
    number = session.ledger.steps.count_marks(run_id, reflecting.REFLECTED)
    data = {"author": wish.author, "edits": [edit.model_dump(mode="json")], "wish": wish.id}
    session.ledger.steps.mark(run_id, reflecting.PROPOSED, number, data)
    return Mark(run_id=run_id, name=reflecting.PROPOSED, step=number, data=data)


def _apply(session: Session, wish: Wish, line: Mark) -> None:
    ledger, run_id = session.ledger, session.run.id
    edit = reflecting.read_edits(line.data)[0]
    try:
        version = reflecting.apply_one(session, line.step, wish.author, edit, ordinal=0)
    except ToolError as error:
        status, told = WishStatus.REFUSED, str(error)
    else:
        status, told = WishStatus.DONE, ""
        session.index.add([version])
    ledger.steps.mark(run_id, reflecting.REFLECTED, line.step, {})
    if ledger.steps.count_marks(run_id, reflecting.VERIFIED) <= line.step:
        reflecting.verify_principles(session)
    if not told:
        latest = ledger.evidence.latest(run_id).get((version.principle, version.version))
        gone = f"{version.name}: P{version.principle} is given up"
        told = gone if isinstance(edit, Retire) else _stated(version.name, version.rule, latest)
    _close(session, wish, status, told)


def _stated(name: str, rule: Rule, evidence: Evidence | None) -> str:
    said = f"{name}, understood as: {words(rule)}; "
    if evidence is None:
        return said + "a candidate, not measured yet: too few results"
    return said + (
        f"{evidence.standing}, effect {evidence.effect:+.2f} ({evidence.low:+.2f} to "
        f"{evidence.high:+.2f}) on {evidence.n_in + evidence.n_out} trials"
    )


def _note(session: Session, wish: Wish) -> None:
    step = session.reader.steps()
    if session.reader.shows_proxies:
        told = f"the architect reads it from step {step} on"
    else:
        told = "kept in the ledger; the analyst, who decides here, reads no notes"
    _close(session, wish, WishStatus.DONE, told)


def _close(session: Session, wish: Wish, status: WishStatus, told: str) -> None:
    session.ledger.requests.close_wish(wish.id, status, told, session.reader.steps())
    _tell(session, session.ledger.requests.wish(wish.id))


def _tell(session: Session, wish: Wish) -> None:
    session.tell(
        EventKind.WISH,
        f"{wish.author} asked to {wish.call.get('tool')}: {wish.status}; {wish.words}",
        wish=wish.id,
        author=wish.author,
        status=wish.status,
    )
