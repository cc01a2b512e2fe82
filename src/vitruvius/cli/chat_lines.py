"""Where a person's lines come from: a prompt with history and completion, or plain input."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from vitruvius.memory.ledger.ledger import Ledger

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession

    from vitruvius.run.conversation import Talk

HISTORY = "chat_history"


class Lines(Protocol):
    """Reads one line; None at the end. Raises KeyboardInterrupt for Ctrl-C."""

    def read(self, prompt: str, default: str = "") -> str | None: ...


class PlainLines:
    """Lines of a pipe or a file; what was read is printed, so that a transcript reads whole."""

    def read(self, prompt: str, default: str = "") -> str | None:
        line = sys.stdin.readline()
        if not line:
            return None
        print(f"{prompt}{line.rstrip()}", flush=True)
        return line.rstrip("\n")


class PromptLines:
    """A prompt on a terminal, by prompt_toolkit."""

    def __init__(self, talk: Talk) -> None:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.history import FileHistory

        history = FileHistory(str(talk.run.home / HISTORY))
        self._session: PromptSession[str] = PromptSession(history=history)
        self._answers: PromptSession[str] = PromptSession()  # answers are no history
        self._talk = talk

    def read(self, prompt: str, default: str = "") -> str | None:
        """Returns the next line, with completion of commands and names at the first prompt."""
        is_question = prompt == "you> "
        session = self._session if is_question else self._answers
        try:
            return session.prompt(
                prompt,
                default=default,
                completer=_completer(self._talk) if is_question else None,
                complete_while_typing=False,
            )
        except EOFError:
            return None


def _completer(talk: Talk) -> Any:
    """Returns what completes commands first, then names of trials, principles and cuts."""
    from prompt_toolkit.completion import Completer, Completion
    from prompt_toolkit.document import Document

    words, commands = names_of(talk), _commands()

    class Names(Completer):
        def get_completions(self, document: Document, event: object) -> Iterable[Completion]:
            text = document.text_before_cursor
            word = document.get_word_before_cursor(WORD=True)
            known = commands if text.startswith("/") and " " not in text else words
            for name in known:
                if word and name.lower().startswith(word.lower()):
                    yield Completion(name, start_position=-len(word))

    return Names()


def names_of(talk: Talk) -> list[str]:
    """Returns the names that a question about the run may hold."""
    with Ledger.open(talk.run.home) as ledger:
        trials = [trial.name for trial in ledger.trials.of(talk.run.id)]
        principles = [f"P{v.principle}" for v in ledger.principles.newest(talk.run.id)]
        cuts = [f"C{cut.number}" for cut in ledger.cuts.of(talk.run.id)]
    choices = dict.fromkeys(name for slot in talk.run.space.slots for name in slot.names)
    slots = [slot.name for slot in talk.run.space.slots]
    return [*principles, *cuts, *trials, *slots, *choices]


def _commands() -> list[str]:
    from vitruvius.agents.chat.commands import commands
    from vitruvius.cli.chat_commands import OWN

    return [*(f"/{name}" for name in commands()), *OWN]


@contextmanager
def open_lines(talk: Talk) -> Iterator[Lines]:
    """Yields a prompt on a terminal, plain lines elsewhere."""
    yield PromptLines(talk) if sys.stdin.isatty() and sys.stdout.isatty() else PlainLines()
