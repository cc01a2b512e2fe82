"""The command that talks about a run."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from vitruvius.cli.console import Home, RunId, opened, run_of

if TYPE_CHECKING:
    from vitruvius.cli.chat_lines import Lines
    from vitruvius.cli.chat_screen import Screen
    from vitruvius.run.conversation import Talk

LEAVE = ("/quit", "/exit")


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
    from vitruvius.cli.chat_lines import open_lines
    from vitruvius.cli.chat_screen import Screen
    from vitruvius.run.conversation import Talk, left_open

    with opened(home) as ledger:
        name = run_of(ledger, run_id).id
    run = api.open(name, home=home)
    thread = thread or left_open(run)
    screen = Screen()
    talk = Talk(run, thread, tell=screen.tell, model=model)
    with talk, open_lines(talk) as lines:
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
    from vitruvius.cli.chat_commands import is_of_the_door, obey
    from vitruvius.errors import ToolError

    if text is not None and is_of_the_door(text):
        obey(text, talk, screen)
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
