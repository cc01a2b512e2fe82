"""Commands of the prompt itself; all others are answered in the conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vitruvius.errors import VitruviusError

if TYPE_CHECKING:
    from vitruvius.cli.chat_screen import Screen
    from vitruvius.run.conversation import Talk

OWN = {
    "/model": ("/model [NAME]", "who answers; another model from now on"),
    "/thread": ("/thread", "the name of this conversation"),
    "/help": ("/help", "this list"),
    "/quit": ("/quit", "leave; Ctrl-D does the same"),
}


def is_of_the_door(text: str) -> bool:
    """Returns whether a line is for the prompt, not for the conversation."""
    return text.split(maxsplit=1)[0] in OWN


def obey(text: str, talk: Talk, screen: Screen) -> None:
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
