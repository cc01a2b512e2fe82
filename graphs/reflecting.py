"""Rewriting the principles, and measuring them before any is believed."""

from __future__ import annotations

from pydantic import TypeAdapter

from vitruvius.errors import ToolError
from vitruvius.events import EventKind
from vitruvius.graphs.session import Session
from vitruvius.memory.edits import Edit
from vitruvius.memory.effects import measure
from vitruvius.memory.ranking import learn
from vitruvius.memory.records import DecisionStatus
from vitruvius.memory.transfer import learned_weights

_EDIT: TypeAdapter[Edit] = TypeAdapter(Edit)


async def rewrite_principles(session: Session) -> None:
    """Stores the theorist's edits, then applies them: a kill in between loses nothing."""
    ledger, run_id = session.ledger, session.run.id
    number = await session.call(ledger.count_marks, run_id, "reflected")
    proposed = await session.call(ledger.marks, run_id, "proposed", last=1)
    if not proposed or proposed[-1].step < number:
        step = await session.call(session.steps)
        spent = await session.call(session.spent)
        view = await session.call(session.view, step, "theorist", session.batch, spent)
        rewrite = await session.theorist.rewrite(view)
        for call in rewrite.calls:
            await session.call(ledger.add_call, run_id, call)
        for down in rewrite.turned_down:
            await session.call(
                ledger.add_decision,
                run_id,
                step,
                down.author,
                {"text": down.text},
                down.status,
                down.problem,
            )
        data = {
            "author": rewrite.author,
            "edits": [edit.model_dump(mode="json") for edit in rewrite.edits],
        }
        await session.call(ledger.mark, run_id, "proposed", number, data)
        proposed = await session.call(ledger.marks, run_id, "proposed", last=1)
    await session.call(_apply, session, number, proposed[-1].data)
    await session.call(ledger.mark, run_id, "reflected", number, {})


def _apply(session: Session, number: int, data: dict[str, object]) -> None:
    author, edits = str(data["author"]), data["edits"]
    assert isinstance(edits, list)
    written = []
    for ordinal, raw in enumerate(edits):
        edit = _EDIT.validate_python(raw)
        try:
            version = session.ledger.apply_edit(
                session.run.id,
                session.task.name,
                session.space.name,
                number,
                author,
                edit,
                ordinal=ordinal,
            )
        except ToolError as error:
            session.ledger.add_decision(
                session.run.id,
                session.steps(),
                author,
                dict(raw),
                DecisionStatus.INVALID,
                str(error),
            )
            session.tell(EventKind.WARNING, f"edit turned down: {error}")
            continue
        written.append(version)
        session.has_new_principles()
        session.tell(
            EventKind.PRINCIPLE,
            f"{version.name} ({edit.edit}): {version.statement}",
            principle=version.name,
            edit=edit.edit,
        )
    session.index.add(written)
    session.tell(
        EventKind.REFLECTED,
        f"{len(written)} edits by {author}",
        trials=len(session.digest().search),
        author=author,
        edits=len(written),
    )


def verify_principles(session: Session) -> None:
    """Measures every version that the run works with on its trials so far."""
    ledger, run_id = session.ledger, session.run.id
    trials = session.digest().search
    number = ledger.count_marks(run_id, "verified")
    views = session.principles()
    evidence = measure(
        run_id=run_id,
        space=session.space,
        metric=session.task.metric,
        trials=trials,
        versions=[view.version for view in views],
        previous=ledger.latest_evidence(run_id),
        proposed_ever=ledger.proposed_ever(run_id),
    )
    ledger.add_evidence(evidence)
    session.has_new_principles()
    found = {
        "closed": len(trials),
        "step": session.steps(),
        "since_best": session.digest().since_best,
    }
    if session.sources:
        lesson = learn(trials, session.task.metric)
        weights = learned_weights(session.space, session.sources, lesson)
        ledger.mark(run_id, "transferred", number, {"weights": weights})
    ledger.mark(run_id, "verified", number, found)
    for row in evidence:
        before = next(v for v in views if v.version.name == f"P{row.principle}.{row.version}")
        if before.standing != row.standing:
            session.tell(
                EventKind.PRINCIPLE,
                f"{before.version.name} is {row.standing}: {before.version.statement} "
                f"(effect {row.effect:+.2f}, {row.low:+.2f} to {row.high:+.2f})",
                principle=before.version.name,
                standing=row.standing,
                effect=row.effect,
            )
