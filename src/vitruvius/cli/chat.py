"""The command that talks about a run: reads, answers, asks before what is costly."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vitruvius.cli.console import Home, RunId, opened, run_of
from vitruvius.errors import ToolError, VitruviusError

if TYPE_CHECKING:
    from vitruvius.cli.chat_terminal import Lines, Screen
    from vitruvius.run.conversation import Talk
    from vitruvius.spaces.space import SearchSpace

LEAVE = ("/quit", "/exit")
OWN = {  # commands of the prompt itself; all others are answered in the conversation
    "/model": ("/model [NAME]", "who answers; another model from now on"),
    "/thread": ("/thread", "the name of this conversation"),
    "/help": ("/help", "this list"),
    "/quit": ("/quit", "leave; Ctrl-D does the same"),
}
HOW = "[y]es, [e]dit, or why not> "
HOW_TAUGHT = "[y]es, [n]o, or say the rule otherwise> "
EDITED = "edit> "

Answer = dict[str, Any]


def chat(
    run_id: RunId = None,
    thread: Annotated[
        str | None, typer.Option(help="Go on with this conversation; default a new one.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Who answers: analyst, a model, or a .gguf file.")
    ] = None,
    home: Home = None,
) -> None:
    """Talk about a run: ask why, compare, teach, approve what is costly, undo a cut.

    Every answer names its trials. Without a model the analyst answers plain questions and
    /commands (/help lists them). Costly steps ask first; an open question waits until you return.

    Examples:
      vitruvius chat

      vitruvius chat 261122-4f1a --thread chat-1

      echo "/why best" | vitruvius chat
    """
    from vitruvius import api
    from vitruvius.cli.chat_terminal import Screen, open_lines
    from vitruvius.run.conversation import Talk, left_open

    with opened(home) as ledger:
        name = run_of(ledger, run_id).id
    run = api.open(name, home=home)
    thread = thread or left_open(run)
    screen = Screen()
    talk = Talk(run, thread, tell=screen.tell, model=model)
    with talk, open_lines(talk, OWN) as lines:
        screen.greet(talk)
        _converse(talk, lines, screen)
    if sys.stdin.isatty():
        screen.note(f"go on with `vitruvius chat {name} --thread {talk.thread}`")


def _converse(talk: Talk, lines: Lines, screen: Screen) -> None:
    """Reads, answers, asks, until the person leaves. A question they leave open stays open."""
    if not _finish(talk, lines, screen, None):
        return
    while True:
        talk.tell_closed()
        try:
            text = lines.read("you> ")
        except KeyboardInterrupt:  # clears the line, as shells do
            continue
        if text is None or text.strip() in LEAVE:
            return
        if text.strip() and not _finish(talk, lines, screen, text.strip()):
            return


def _finish(talk: Talk, lines: Lines, screen: Screen, text: str | None) -> bool:
    """Takes a turn to its end; False where the person leaves while a question is open."""
    if text is not None and _is_of_the_door(text):
        _obey(text, talk, screen)
        return True
    try:
        question = talk.take_up() if text is None else talk.send(text)
        while question is not None:
            answer = _ask_person(question, lines, screen, talk.run.space)
            if answer is None:
                screen.note("the question stays open, and is asked again when you return")
                return False
            try:
                question = talk.answer(answer)
            except ToolError as error:
                screen.note(str(error))
    except KeyboardInterrupt:
        screen.note("stopped")
    return True


def _is_of_the_door(text: str) -> bool:
    """Returns whether a line is for the prompt, not for the conversation."""
    return text.split(maxsplit=1)[0] in OWN


def _obey(text: str, talk: Talk, screen: Screen) -> None:
    """Does what a command of the prompt says."""
    name, _, rest = text.partition(" ")
    match name:
        case "/help":
            from vitruvius.agents.chat.commands import help_rows

            screen.table(("command", ""), [*help_rows(), *OWN.values()])
        case "/thread":
            screen.say(f"{talk.thread} of run {talk.run.id}")
        case "/model" if not rest.strip():
            screen.say(talk.words)
        case _:
            try:
                screen.say(talk.use_model(rest.strip()))
            except VitruviusError as error:
                screen.note(str(error))


def _ask_person(
    question: Mapping[str, Any], lines: Lines, screen: Screen, space: SearchSpace
) -> Answer | None:
    """Returns the person's answer to a costly call; None where they leave it open."""
    call = dict(question["call"])
    if call["tool"] == "principle":
        return _ask_taught(call, str(question.get("understood", "")), lines, screen, space)
    screen.ask(_words(call, question.get("price") or {}), _lines_of(call))
    while (said := _read(lines, HOW)) is not None:
        if said.lower() in ("y", "yes"):
            return {"approved": True}
        if said.lower() in ("e", "edit"):
            said = _read(lines, EDITED, default=_editable(call)) or ""
        if not said:
            continue
        if said.startswith(("{", "[")):
            try:
                return {"approved": True, "call": _edited(call, json.loads(said))}
            except ValueError as error:
                screen.note(f"that is no JSON: {error}")
                continue
        return {"approved": False, "reason": "" if said.lower() in ("n", "no") else said}
    return None


def _ask_taught(
    call: dict[str, Any], understood: str, lines: Lines, screen: Screen, space: SearchSpace
) -> Answer | None:
    """Shows the rule that a principle was understood as, until it is right or given up."""
    from vitruvius.agents.chat.plain_words import understood as read_rule
    from vitruvius.spaces.rules import words

    edited = False
    while True:
        screen.ask(f"Understood as the rule: {understood}", [f"You said: {call['statement']}"])
        said = _read(lines, HOW_TAUGHT)
        if said is None:
            return None
        if said.lower() in ("y", "yes"):
            return {"approved": True, "call": call} if edited else {"approved": True}
        if said.lower() in ("n", "no") or said.lower().startswith("no,"):
            return {"approved": False, "reason": said.partition(",")[2].strip()}
        try:
            rule = read_rule(said, space) if said else None
        except ToolError as error:
            screen.note(str(error))
            continue
        if rule is not None:
            call = call | {"rule": rule.model_dump(mode="json", exclude_none=True)}
            understood, edited = words(rule), True


def _read(lines: Lines, prompt: str, default: str = "") -> str | None:
    """Returns a line without blanks around it; None where the person leaves."""
    try:
        said = lines.read(prompt, default=default)
    except KeyboardInterrupt:
        return None
    return None if said is None else said.strip()


def _words(call: Mapping[str, Any], price: Mapping[str, Any]) -> str:
    from vitruvius.tools.calls.registry import asks

    cost = [f"{price['seconds']:.3g} s of training"] if price.get("seconds") else []
    cost += [f"{price['tokens']:,.0f} tokens"] if price.get("tokens") else []
    cost += [f"${price['dollars']:.2f}"] if price.get("dollars") else []
    about = f", about {', '.join(cost)}" if cost else ""
    return f"{asks(call)}{about}?"


def _lines_of(call: Mapping[str, Any]) -> list[str]:
    from vitruvius.tools.calls.tool import UNSAID

    lines = [str(one) for one in call.get("architectures", ())]
    reason = str(call.get("reason") or "")
    has_reason = reason and not reason.startswith(UNSAID)
    return [*lines, f"Reason: {reason}"] if has_reason else lines


def _editable(call: Mapping[str, Any]) -> str:
    """Returns the part of a call that a person would change, as JSON on one line."""
    if call["tool"] == "train":
        specs = [json.loads(one) if isinstance(one, str) else one for one in call["architectures"]]
        return json.dumps(specs if len(specs) > 1 else specs[0])
    return json.dumps({name: value for name, value in call.items() if name != "tool"})


def _edited(call: Mapping[str, Any], given: Any) -> dict[str, Any]:
    if call["tool"] == "train":
        if isinstance(given, Mapping) and "architectures" in given:
            return {**given, "tool": "train"}
        return {"tool": "train", "architectures": given if isinstance(given, list) else [given]}
    return {**given, "tool": call["tool"]} if isinstance(given, Mapping) else dict(call)
