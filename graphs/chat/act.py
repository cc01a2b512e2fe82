"""Calls of a conversation carried out: questions answered, wishes left with the run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from vitruvius.agents.chat.tools import check_call
from vitruvius.errors import ToolError, VitruviusError
from vitruvius.events import Event, EventKind
from vitruvius.graphs.chat.session import MOST_READ, ChatSession, Told, Turn
from vitruvius.graphs.search.approve import Price, is_above
from vitruvius.memory.decisions import read_stored
from vitruvius.memory.ledger.requests import Wish, WishStatus
from vitruvius.memory.records import RunStatus
from vitruvius.spaces.rules import words
from vitruvius.tools.calls.fork import Fork
from vitruvius.tools.calls.principle import Principle
from vitruvius.tools.calls.tool import UNSAID, Tool
from vitruvius.tools.calls.train import Train
from vitruvius.tools.questions.registry import answer, is_question, read_question

STOPPED = "You stopped this."
EDITED = "As the person edited it"


def question_about(session: ChatSession) -> dict[str, Any] | None:
    """Returns what the person is asked before the next call; None where it needs no answer."""
    turn = session.turn()
    call = turn.pending
    if call is None or turn.reply is None:
        return None
    asked = read_stored(call)
    if not isinstance(asked, Tool) or not (asked.IS_COSTLY or asked.IS_SHOWN_FIRST):
        return None
    price = price_of(session, asked)
    limits = session.ask_above
    if not asked.IS_SHOWN_FIRST and limits is not None and not is_above(price, limits):
        return None
    question: dict[str, Any] = {"decision": turn.reply.id, "call": call, "price": dict(price)}
    if isinstance(asked, Principle) and asked.rule is not None:
        question["understood"] = words(asked.rule)
    return question


def price_of(session: ChatSession, asked: Tool) -> Price:
    """Returns what a call is likely to cost, by the run's own mean training; None: not known yet.

    What a person asks for costs no tokens: no model decides it.
    """
    seconds: float | None = 0.0
    if isinstance(asked, Train):
        taken = [
            t.train_s for t in session.ledger.trials.of(session.run_id) if t.train_s is not None
        ]
        count = len(asked.architectures)
        seconds = count * sum(taken) / len(taken) if taken else None
    return {"seconds": seconds, "tokens": 0, "dollars": 0.0}


async def carry_out(session: ChatSession, said: Mapping[str, Any] | None) -> None:
    """Does the next call and stores what came of it; `said` is the person's answer, if asked."""
    call = (await session.call(session.turn)).pending
    edited = ""
    if call is None:
        return
    if said is not None and not said.get("approved", False):
        reason = str(said.get("reason") or "no reason given")
        await session.call(_store, session, call, f"Not done: the person refused: {reason}", {})
        return
    if said is not None and isinstance(said.get("call"), Mapping):
        try:
            call = check_call(said["call"], session.space)
        except ToolError as error:
            await session.call(_store, session, call, f"Not done: as edited, {error}", {})
            return
        edited = EDITED
    session.tell(Told(kind="call", text=shown(call)))
    if is_question(call):
        await session.call(_answer, session, call)
    elif isinstance(asked := read_stored(call), Fork):
        await session.call(_fork, session, call, asked)
    else:
        await _wish(session, call, edited)


def shown(call: Mapping[str, Any]) -> str:
    """Returns a call in one line: `trials sort=best limit=5`."""
    parts = [
        f"{name}={value if not isinstance(value, list | dict) else '...'}"
        for name, value in call.items()
        if name != "tool" and value is not None and not str(value).startswith(UNSAID)
    ]
    return " ".join([str(call["tool"]), *parts])


def tell_closed(session: ChatSession) -> None:
    """Stores what became of wishes that waited for another process, once each."""
    waiting: set[int] = set()
    for message in session.turn().messages:
        if (number := message.data.get("wish")) is not None:
            (waiting.add if message.data.get("waits") else waiting.discard)(int(number))
    for wish in session.ledger.requests.wishes(session.run_id, is_open=False) if waiting else ():
        if wish.id in waiting:
            text = f"Wish {wish.id} ({wish.call.tool}) is {wish.status.value}: {wish.words}"
            _store(session, wish.written, text, {"wish": wish.id})


def shown_whole(call: Mapping[str, Any]) -> str:
    """Returns a call with all its arguments, as JSON."""
    return json.dumps({n: v for n, v in call.items() if n != "tool"}, ensure_ascii=False)


def _store(session: ChatSession, call: Mapping[str, Any], text: str, data: dict[str, Any]) -> None:
    session.add("tool", text, {"tool": call["tool"], "call": dict(call)} | data)


def _answer(session: ChatSession, call: Mapping[str, Any]) -> None:
    try:
        found = answer(session.book(), read_question(call))
    except ToolError as error:
        _store(session, call, f"{error}", {})
        return
    _store(session, call, found.text, {"drawing": found.drawing})


def _fork(session: ChatSession, call: Mapping[str, Any], asked: Fork) -> None:
    try:
        made = session.fork(asked.at, asked.budget)
    except VitruviusError as error:
        _store(session, call, f"Not done: {error}", {})
        return
    text = f"Run {made} is a fork of {session.run_id}; talk to it with `vitruvius chat {made}`."
    _close_copy(session, made, call)
    _store(session, call, text, {"run": made})


def _close_copy(session: ChatSession, made: str, call: Mapping[str, Any]) -> None:
    """Ends this turn in the fork's copy of the thread, lest its reader fork once more."""
    ledger, thread = session.ledger, session.thread
    if Turn(messages=ledger.requests.messages(made, thread, last=MOST_READ)).pending == call:
        text = f"This run, {made}, is the fork of {session.run_id}."
        ledger.requests.add_message(made, thread, "tool", text, {"tool": "fork"})


async def _wish(session: ChatSession, call: dict[str, Any], edited: str) -> None:
    """Leaves the wish with the run, and drives the run for it where nobody else does."""
    try:
        wish = await session.call(_left, session, call)
    except VitruviusError as error:
        await session.call(_store, session, call, f"Not done: {error}", {})
        return
    problem = ""
    if wish.status == WishStatus.OPEN:
        problem = await _drive(session, call, wish)
    text = await session.call(_became, session, wish, problem)
    said = f"{edited}: {shown_whole(call)}. {text}" if edited else text
    await session.call(_store, session, call, said, {"wish": wish.id, "waits": bool(problem)})


async def _drive(session: ChatSession, call: Mapping[str, Any], wish: Wish) -> str:
    """Drives the run until no wish is open; returns why it was not, or nothing."""
    # Shielded: Ctrl-C stops the run in order, and what it finished meanwhile is kept and told.
    driving = asyncio.ensure_future(session.call(session.carry, _teller(session)))
    try:
        if await asyncio.shield(driving) == RunStatus.RUNNING:
            return "Another process drives this run: it takes the wish up at its next step."
    except VitruviusError as error:
        return f"It could not be carried out now: {error}"
    except asyncio.CancelledError:
        session.stop()
        await asyncio.wait({driving})
        _store(session, call, _became(session, wish, STOPPED), {"wish": wish.id})
        raise
    return ""


def _left(session: ChatSession, call: dict[str, Any]) -> Wish:
    """Returns the wish of this call: the one that a killed session left, or a new one."""
    turn = session.turn()
    assert turn.reply is not None
    told = {message.data.get("wish") for message in turn.messages}
    for wish in session.ledger.requests.wishes(session.run_id):
        is_ours = wish.written == call and wish.created >= turn.reply.created
        if is_ours and wish.id not in told:
            return wish
    return session.steer(call)


def _became(session: ChatSession, wish: Wish, problem: str) -> str:
    now = next(w for w in session.ledger.requests.wishes(session.run_id) if w.id == wish.id)
    if now.status == WishStatus.OPEN:
        return f"{problem} Wish {wish.id} waits.".strip()
    return f"{'Done' if now.status == WishStatus.DONE else 'Not done'}: {now.words}"


def _teller(session: ChatSession) -> Any:
    def tell(event: Event) -> None:
        if event.kind not in (
            EventKind.STARTED,
            EventKind.DECISION,
            EventKind.DONE,
            EventKind.WISH,
        ):
            session.tell(Told(kind="event", text=event.text))

    return tell
