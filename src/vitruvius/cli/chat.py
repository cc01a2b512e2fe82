"""The command that talks about a run: reads, answers, asks before what is costly."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from vitruvius.cli.console import Home, RunId, opened, run_of
from vitruvius.errors import ToolError, VitruviusError

if TYPE_CHECKING:
    from vitruvius.cli.chat_terminal import Lines, Screen
    from vitruvius.run.conversation import Talk

LEAVE = ("/quit", "/exit")
OWN = {  # commands of the prompt itself; all others are answered in the conversation
    "/model": ("/model [NAME]", "who answers; another model from now on"),
    "/thread": ("/thread", "the name of this conversation"),
    "/help": ("/help", "this list"),
    "/quit": ("/quit", "leave; Ctrl-D does the same"),
}


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
    from vitruvius.cli.chat_asking import ask_person

    if text is not None and _is_of_the_door(text):
        _obey(text, talk, screen)
        return True
    try:
        question = talk.take_up() if text is None else talk.send(text)
        while question is not None:
            answer = ask_person(question, lines, screen, talk.run.space)
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
