"""Wishes: what people ask of a run from outside its loop, taken up before its own next decision.

A wish to train or to prune becomes a decision of its author, checked as any other, and closed with
it. A principle that somebody states or gives up becomes an edit, a reflection of its own that ends
with a measurement; it shifts neither the theorist's turns nor the repeats. A kill at any instant
loses no wish and carries out none twice: what a wish became is found in the journal or in the
decision, and what became of it is written last.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from vitruvius.agents.chairs.constraints import context_of
from vitruvius.agents.chairs.theorist import Understands
from vitruvius.errors import ToolError
from vitruvius.events import EventKind
from vitruvius.graphs.search import decide as deciding
from vitruvius.graphs.search import reflect as reflecting
from vitruvius.graphs.search.session import Session
from vitruvius.memory.decisions import Decision
from vitruvius.memory.edits import Add, Edit, Retire
from vitruvius.memory.ledger.requests import Wish, WishStatus
from vitruvius.memory.records import DecisionStatus, Evidence, Mark, Spent
from vitruvius.spaces.rule_words import read_rule
from vitruvius.spaces.rules import Rule, words
from vitruvius.tools.calls.edits import check_edit
from vitruvius.tools.calls.registry import read_wish
from vitruvius.tools.calls.schemas import Problem
from vitruvius.tools.calls.tool import Tool
from vitruvius.tools.calls.train import Train

MOST_AT_ONCE = 32  # architectures in one wish


async def take_wish(session: Session) -> Decision | None:
    """Takes up the oldest open wish, if any; returns the decision that it became, or None."""
    due = await session.call(session.reader.open_wishes)
    if not due:
        return None
    wish = due[0]
    try:
        asked = read_wish(wish.written, session.space)
        return await asked.take_up(SearchDesk(session, wish))
    except ToolError as error:
        await session.call(_close, session, wish, WishStatus.REFUSED, str(error))
    return None


@dataclass(frozen=True)
class SearchDesk:
    """What a search does with a wish: see `tools.calls.tool.Desk`."""

    session: Session
    wish: Wish

    async def decide(self, asked: Tool) -> Decision:
        """Makes the wish a decision of its author, checked as any other."""
        return await self.session.call(_decide, self.session, self.wish, asked)

    async def rewrite(self, edit: Callable[[], Awaitable[Edit]]) -> None:
        """Writes the edit into the journal, applies and measures it, and closes the wish."""
        await _rewrite(self.session, self.wish, edit)

    async def rule_of(self, statement: str) -> Rule:
        """Returns the rule that plain words mean: read by the program, else by the model."""
        return await _rule_of(self.session, statement)

    async def keep(self) -> None:
        """Closes the wish, which the architect reads from now on."""
        await self.session.call(_note, self.session, self.wish)


def tell_closed(session: Session, decision: Decision) -> None:
    """Tells what became of the wish that a decision was; nothing where it was none."""
    if decision.wish is None:
        return
    wish = session.ledger.requests.wish(decision.wish)
    if wish.status != WishStatus.OPEN:
        _tell(session, wish)


def _decide(session: Session, wish: Wish, asked: Tool) -> Decision:
    """Returns the decision that the wish becomes.

    Raises:
        ToolError: it cannot be carried out as asked.
    """
    step, spent = session.reader.steps(), session.spent()
    room = _room(session, spent) if isinstance(asked, Train) else 1
    checked = asked.check(context_of(session.reader.view(step, "wish", room, spent)))
    written = checked.decision.model_dump(mode="json")
    if isinstance(asked, Train):
        plans = [deciding.chosen(session, one) for one in checked.architectures]
        written["trials"] = [plan.written for plan in plans]
    decision = session.accept_wish(wish, step, {**written, "wish": wish.id})
    deciding.tell_decision(session, decision)
    return decision


def _room(session: Session, spent: Spent) -> int:
    room = int(min(MOST_AT_ONCE, session.reader.search_left(spent)))
    if room == 0:
        raise Problem(
            DecisionStatus.OVER_BUDGET,
            "the budget has no trial left for the search; fork the run with another budget",
        )
    return room


async def _rewrite(session: Session, wish: Wish, make: Callable[[], Awaitable[Edit]]) -> None:
    line = await session.call(_line_of, session, wish)
    if line is None:
        if await session.call(_has_unfinished_rewrite, session):
            await reflecting.rewrite_principles(session)  # of the theorist, killed half-way
            return
        # A model may be asked here; the line in the journal keeps a resume from asking again.
        edit = check_edit(await make(), context_of(await session.call(session.wish_view)))
        line = await session.call(_write_line, session, wish, edit)
    await session.call(_apply, session, wish, line)


def _line_of(session: Session, wish: Wish) -> Mark | None:
    lines = session.ledger.steps.marks(session.run.id, reflecting.PROPOSED)
    return next((line for line in lines if line.data.get("wish") == wish.id), None)


def _has_unfinished_rewrite(session: Session) -> bool:
    lines = session.ledger.steps.marks(session.run.id, reflecting.PROPOSED, last=1)
    done = session.ledger.steps.count_marks(session.run.id, reflecting.REFLECTED)
    return bool(lines) and lines[-1].step >= done


async def _rule_of(session: Session, said: str) -> Rule:
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
        f"{wish.author} asked to {wish.call.tool or '?'}: {wish.status}; {wish.words}",
        wish=wish.id,
        author=wish.author,
        status=wish.status,
    )
