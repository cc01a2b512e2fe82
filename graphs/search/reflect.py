"""Rewriting the principles, and measuring them before any is believed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from vitruvius.agents.chairs.view import Rewrite
from vitruvius.errors import ToolError
from vitruvius.events import EventKind
from vitruvius.graphs.search.session import Session
from vitruvius.graphs.search.source_runs import note_weights
from vitruvius.memory.edits import Edit
from vitruvius.memory.evidence.effects import measure
from vitruvius.memory.records import DecisionStatus, PrincipleVersion

# Lines of the journal, numbered by reflection: what is to be written, that it was, and the look.
PROPOSED, REFLECTED, VERIFIED = "proposed", "reflected", "verified"
_EDIT: TypeAdapter[Edit] = TypeAdapter(Edit)


async def rewrite_principles(session: Session) -> None:
    """Stores the theorist's edits, then applies them: a kill in between loses nothing."""
    ledger, run_id = session.ledger, session.run.id
    number = await session.call(ledger.steps.count_marks, run_id, REFLECTED)
    proposed = await session.call(ledger.steps.marks, run_id, PROPOSED, last=1)
    if not proposed or proposed[-1].step < number:
        step = await session.call(session.reader.steps)
        spent = await session.call(session.spent)
        view = await session.call(session.reader.view, step, "theorist", session.batch, spent)
        rewrite = await session.theorist.rewrite(view)
        await session.call(book, session, rewrite, step)
        data = {
            "author": rewrite.author,
            "edits": [edit.model_dump(mode="json") for edit in rewrite.edits],
        }
        await session.call(ledger.steps.mark, run_id, PROPOSED, number, data)
        proposed = await session.call(ledger.steps.marks, run_id, PROPOSED, last=1)
    # Applied from the journal's words, by a theorist who has just spoken or by one before a kill.
    await session.call(_apply, session, number, proposed[-1].data)
    await session.call(ledger.steps.mark, run_id, REFLECTED, number, {})


def book(session: Session, rewrite: Rewrite, step: int) -> None:
    """Stores what a rewrite cost, and what was turned down before it."""
    for call in rewrite.calls:
        session.ledger.steps.add_call(session.run.id, call)
    for down in rewrite.turned_down:
        session.ledger.steps.add_decision(
            session.run.id, step, down.author, {"text": down.text}, down.status, down.problem
        )


def read_edits(data: Mapping[str, Any]) -> list[Edit]:
    """Returns the edits of a line of the journal."""
    return [_EDIT.validate_python(raw) for raw in data["edits"]]


def apply_one(
    session: Session, number: int, author: str, edit: Edit, *, ordinal: int
) -> PrincipleVersion:
    """Returns the version that an edit of reflection `number` makes, or made before a kill.

    Raises:
        ToolError: the edit cannot be made.
    """
    version = session.ledger.principles.apply_edit(
        session.run.id,
        session.task.name,
        session.space.name,
        number,
        author,
        edit,
        ordinal=ordinal,
    )
    session.tell(
        EventKind.PRINCIPLE,
        f"{version.name} ({edit.edit}): {version.statement}",
        principle=version.name,
        edit=edit.edit,
    )
    return version


def _apply(session: Session, number: int, data: Mapping[str, Any]) -> None:
    author, written = str(data["author"]), []
    for ordinal, edit in enumerate(read_edits(data)):
        try:
            written.append(apply_one(session, number, author, edit, ordinal=ordinal))
        except ToolError as error:
            session.ledger.steps.add_decision(
                session.run.id,
                session.reader.steps(),
                author,
                dict(data["edits"][ordinal]),
                DecisionStatus.INVALID,
                str(error),
            )
            session.tell(EventKind.WARNING, f"edit turned down: {error}")
    session.index.add(written)
    session.tell(
        EventKind.REFLECTED,
        f"{len(written)} edits by {author}",
        trials=len(session.reader.digest().search),
        author=author,
        edits=len(written),
    )


def verify_principles(session: Session) -> None:
    """Measures every version that the run works with on its trials so far.

    After what a person wrote, the theorist's turn and the repeats are due when they were before.
    """
    ledger, run_id = session.ledger, session.run.id
    trials = session.reader.digest().search
    number = ledger.steps.count_marks(run_id, VERIFIED)
    views = session.reader.principles()
    evidence = measure(
        run_id=run_id,
        space=session.space,
        metric=session.task.metric,
        trials=trials,
        versions=[view.version for view in views],
        previous=ledger.evidence.latest(run_id),
        proposed_ever=ledger.principles.proposed_ever(run_id),
    )
    ledger.evidence.add(evidence)
    proposed, before = ledger.steps.marks(run_id, PROPOSED, last=1), session.reader.last_verified()
    is_wish = bool(proposed) and "wish" in proposed[-1].data and proposed[-1].step == number
    found = {
        "closed": len(trials),
        "step": session.reader.steps(),
        "since_best": session.reader.digest().since_best,
        "reflected_at": before.get("reflected_at", 0) if is_wish else len(trials),
        "turns": session.reader.verifications() + (not is_wish),
    }
    note_weights(session)
    # Last: the run's course takes a measurement for done by this note, so a kill repeats it all.
    ledger.steps.mark(run_id, VERIFIED, number, found)
    for row in evidence:
        seen = next(v for v in views if v.version.name == f"P{row.principle}.{row.version}")
        if seen.standing != row.standing:
            session.tell(
                EventKind.PRINCIPLE,
                f"{seen.version.name} is {row.standing}: {seen.version.statement} "
                f"(effect {row.effect:+.2f}, {row.low:+.2f} to {row.high:+.2f})",
                principle=seen.version.name,
                standing=row.standing,
                effect=row.effect,
            )
