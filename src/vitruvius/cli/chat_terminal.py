"""The terminal of a conversation: lines as they are typed, words as they come, results drawn small.

Everything that is shown was written by somebody else: no control character reaches the terminal.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from vitruvius.cli.console import WIDE, print_table
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.tools.safe_text import clean

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession
    from rich.console import Console

    from vitruvius.graphs.chat.session import Told
    from vitruvius.memory.ledger.requests import Message
    from vitruvius.run.conversation import Talk

HISTORY = "chat_history"
BARS = "▁▂▃▄▅▆▇█"
CURVE_WIDTH = 40
RECALLED = 4  # messages that are shown when a thread is taken up again
LINE = 4000  # characters of one line


class Screen:
    """Prints to stdout. `tell` is called from the thread that answers while the main one waits."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console: Console = Console(
            width=None if sys.stdout.isatty() else WIDE, highlight=False, markup=False
        )
        self._is_speaking = self._was_heard = False

    def greet(self, talk: Talk) -> None:
        """Says which run this is, who answers, and what was said last."""
        record = talk.run.record
        self.say(
            f"run {record.id} is {record.status}: {record.task_name} on {record.space_name} "
            f"({talk.thread}). {talk.words} /help lists commands."
        )
        for message in talk.last_messages(RECALLED):
            who = {"user": "you", "agent": "vitruvius", "tool": "tool"}[message.role]
            if message.text:
                self._dim(f"{who}: {clean(message.text, 200)}")

    def tell(self, told: Told) -> None:
        """Takes in what happens during a turn."""
        if told.kind == "piece":
            self._is_speaking = True
            print(safe(told.text), end="", flush=True)
            return
        self._end_line()
        if told.kind == "call":
            self._dim(f"· {clean(told.text)}")
        elif told.kind == "event":
            self._dim(f"  {clean(told.text)}")
        elif told.message is not None:
            self._show(told.message, was_heard=self._was_heard)
        self._was_heard = False

    def _end_line(self) -> None:
        if self._is_speaking:
            print(flush=True)
        self._was_heard, self._is_speaking = self._is_speaking, False

    def _show(self, message: Message, *, was_heard: bool) -> None:
        if message.role == "agent" and was_heard and not message.data.get("failed"):
            return  # it was printed as it came
        text = message.text
        if was_heard:  # broken off: what is new is the last line
            text = text.rpartition("\n")[2]
        if text:
            self.say(text)
        draw(message.data.get("drawing") or {}, self._console)

    def say(self, text: str) -> None:
        """Prints what the agent says."""
        self._console.print(safe(text), soft_wrap=False)

    def note(self, text: str) -> None:
        """Prints a remark of the program."""
        self._dim(f"({clean(text, LINE)})")

    def ask(self, text: str, lines: Sequence[str]) -> None:
        """Prints what is to be approved."""
        self._console.print(clean(text, LINE), style="bold")
        for line in lines:
            self._console.print(f"  {clean(line, LINE)}")

    def table(self, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Prints a table."""
        print_table(headers, rows)

    def _dim(self, text: str) -> None:
        self._console.print(text, style="dim")


def safe(text: str) -> str:
    """Returns text with its line ends and blanks, and without any other control character."""
    return "".join(c for c in text if c == "\n" or c.isprintable())


def draw(drawing: Any, console: Console) -> None:
    """Draws what a tool returned: a table, a curve in one line, an architecture."""
    if drawing.get("rows"):
        print_table(drawing.get("headers", ()), drawing["rows"])
    if drawing.get("picture"):
        for line in str(drawing["picture"]).splitlines():
            console.print(f"  {safe(line)}", style="cyan")
    if len(drawing.get("curve", ())) > 1:
        values = [float(value) for value in drawing["curve"]]
        console.print(
            f"  best so far: {values[0]:.4g} {sparkline(values)} {values[-1]:.4g} "
            f"({len(values)} trials)",
            style="green",
        )


def sparkline(values: Sequence[float]) -> str:
    """Returns a curve as one line of bars; long ones are thinned.

    Example:
        >>> sparkline([1.0, 2.0, 4.0])
        '▁▃█'
    """
    step = max(1, -(-len(values) // CURVE_WIDTH))
    shown = [*values[::step], values[-1]] if step > 1 else list(values)
    low, high = min(shown), max(shown)
    reach = (high - low) or 1.0
    return "".join(BARS[int((value - low) / reach * (len(BARS) - 1))] for value in shown)


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

    def __init__(self, talk: Talk, commands: Sequence[str]) -> None:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.history import FileHistory

        history = FileHistory(str(talk.run.home / HISTORY))
        self._session: PromptSession[str] = PromptSession(history=history)
        self._answers: PromptSession[str] = PromptSession()  # answers are no history
        self._talk, self._commands = talk, commands

    def read(self, prompt: str, default: str = "") -> str | None:
        """Returns the next line, with completion of commands and names at the first prompt."""
        is_question = prompt == "you> "
        session = self._session if is_question else self._answers
        try:
            return session.prompt(
                prompt,
                default=default,
                completer=_completer(self._talk, self._commands) if is_question else None,
                complete_while_typing=False,
            )
        except EOFError:
            return None


def _completer(talk: Talk, commands: Sequence[str]) -> Any:
    """Returns what completes commands first, then names of trials, principles and cuts."""
    from prompt_toolkit.completion import Completer, Completion
    from prompt_toolkit.document import Document

    words = names_of(talk)

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


@contextmanager
def open_lines(talk: Talk, own: Iterable[str] = ()) -> Iterator[Lines]:
    """Yields a prompt on a terminal, plain lines elsewhere; `own` are commands of the door."""
    from vitruvius.agents.chat.commands import commands as all_commands

    is_prompt = sys.stdin.isatty() and sys.stdout.isatty()
    commands = [*(f"/{name}" for name in all_commands()), *own]
    yield PromptLines(talk, commands) if is_prompt else PlainLines()
