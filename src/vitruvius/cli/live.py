"""Progress while a run works: a live panel on a terminal, plain lines elsewhere."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Self

from vitruvius.errors import ConfigError
from vitruvius.events import Event
from vitruvius.run.progress import Progress
from vitruvius.tools.safe_text import MAX_CHARACTERS, clean

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

    from vitruvius.events import Ask
    from vitruvius.memory.records import Trial

REFRESH_PER_S = 4
SAME_SIGNAL_S = 0.5  # timeout(1) and its like signal the process and then its group
STOPPING = "stopping: trainings under way are cancelled; Ctrl-C again leaves at once"
PROMPT = "Carry it out? [Y/n, why not, or other arguments as JSON] "


class TerminalProgress:
    """A listener of a run's events. As a context it owns the terminal and the signals.

    Events come from another thread; rich's own lock serialises the drawing.
    """

    def __init__(self, *, quiet: bool = False, earlier: Sequence[Trial] = ()) -> None:
        """Makes the listener; `earlier` trials are those of the run before it was resumed."""
        self.quiet = quiet
        self.heard = Progress(earlier=earlier, longest=MAX_CHARACTERS)
        self._live: Live | None = None
        self._interrupts, self._interrupted = 0, 0.0
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):  # a batch system sends the second
            self._handlers[number] = signal.signal(number, self._interrupt)
        if not self.quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.live import Live

            self._live = Live(
                console=Console(stderr=True),
                get_renderable=self._panel,
                refresh_per_second=REFRESH_PER_S,
                transient=True,
            )
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        if error is not None and self.heard.run is not None:
            print(f"go on with `vitruvius resume {self.heard.run}`", file=sys.stderr)

    def __call__(self, event: Event) -> None:
        """Takes in an event; prints it where there is no live panel."""
        line = self.heard.take(event)
        if line is not None and self._live is None and not self.quiet:
            print(f"{self.heard.clock()} {line}", file=sys.stderr, flush=True)

    def asker(self, is_wanted: bool) -> Ask | None:
        """Returns `ask` if it is wanted.

        Raises:
            ConfigError: nobody could answer. Comes before anything is started.
        """
        if not is_wanted:
            return None
        if not sys.stdin.isatty():
            raise ConfigError("--ask needs a terminal to answer at; leave it out, or run in one")
        return self.ask

    def ask(self, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        """Asks the person about a costly decision; see `answer_of` for what may be said."""
        # A panel that is drawn again would write over the line that is being typed.
        if self._live is not None:
            self._live.stop()
        print(f"\n{question_words(payload)}", file=sys.stderr)
        print(PROMPT, end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if self._live is not None:
            self._live.start()
        return answer_of(line)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._interrupts and now - self._interrupted < SAME_SIGNAL_S:
            return
        self._interrupts += 1
        self._interrupted = now
        if self._interrupts == 1:
            self.heard.lines.append(STOPPING)
            if self._live is None:
                print(STOPPING, file=sys.stderr, flush=True)
        elif self._live is not None:
            self._live.stop()  # gives the cursor back before the process ends
        raise KeyboardInterrupt

    def _panel(self) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.text import Text

        heard = self.heard
        share, account = heard.used("/")
        text = f"run {heard.run or '...'}  {heard.clock()}  {account}  {heard.best_words()}"
        lines = [
            Text(line, style="dim", no_wrap=True, overflow="ellipsis")
            for line in list(heard.lines)  # at once: the other thread adds to them
        ]
        head = Text(text, style="bold")
        return Group(head, ProgressBar(total=1.0, completed=share, width=60), *lines)


def answer_of(line: str) -> dict[str, Any]:
    """Returns what a typed line answers.

    Yes or nothing approves; an object of JSON approves with these arguments; the end of the input
    leaves the question open; anything else refuses, and is the reason.
    """
    typed = line.strip()
    if not line:
        return {"approved": None}
    if typed.lower() in ("", "y", "yes"):
        return {"approved": True}
    if typed.startswith("{"):
        with suppress(ValueError, RecursionError):
            return {"approved": True, "call": json.loads(typed)}
    return {"approved": False, "reason": typed}


def question_words(payload: Mapping[str, Any]) -> str:
    """Returns what is asked: what was wrong with the last answer, what would be done, its price."""
    problem = payload.get("problem")
    lines = [f"That will not do: {clean(str(problem))}"] if problem else []
    call = payload.get("call", {})
    lines.append(_call_words(call) + _price_words(payload.get("price", {})))
    lines += [f"  {clean(json.dumps(spec))}" for spec in call.get("architectures", ())]
    return "\n".join(lines)


def _call_words(call: Mapping[str, Any]) -> str:
    from vitruvius.tools.calls.registry import asks

    what = asks(call, trials=len(call.get("trials", ())))
    return f"{clean(what)}. {clean(str(call.get('reason') or 'no reason given'))}"


def _price_words(price: Mapping[str, float | None]) -> str:
    told = (
        ("{:.3g} s of training", price.get("seconds")),
        ("{:.0f} tokens", price.get("tokens")),
        ("${:.2g}", price.get("dollars")),
    )
    words = [text.format(amount) for text, amount in told if amount]
    return f" (About {', '.join(words)}.)" if words else ""
