"""Progress while a run works: a live panel on a terminal, plain lines elsewhere."""

from __future__ import annotations

import signal
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Self

from vitruvius.cli.asking import PROMPT, answer_of, question_words
from vitruvius.errors import ConfigError
from vitruvius.events import UNTOLD, Event, EventKind
from vitruvius.tools.safe_text import clean

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

    from vitruvius.events import Ask
    from vitruvius.memory.records import Trial

LINES = 8
REFRESH_PER_S = 4
SAME_SIGNAL_S = 0.5  # timeout(1) and its like signal the process and then its group
STOPPING = "stopping: trainings under way are cancelled; Ctrl-C again leaves at once"


class Progress:
    """A listener of a run's events. As a context it owns the terminal and the signals.

    Events come from another thread; rich's own lock serialises the drawing.
    """

    def __init__(self, *, quiet: bool = False, earlier: Sequence[Trial] = ()) -> None:
        """Makes the listener; `earlier` trials are those of the run before it was resumed."""
        self.quiet, self._earlier = quiet, earlier
        self.run: str | None = None
        self._started = time.monotonic()
        self._limits: Any = None
        self._spent: Any = None
        self._sign = 1.0
        self._unit = ""
        self._best: tuple[float, str] | None = None
        self._recent: deque[str] = deque(maxlen=LINES)
        self._live: Live | None = None
        self._interrupts, self._interrupted = 0, 0.0
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
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
        if error is not None and self.run is not None:
            print(f"go on with `vitruvius resume {self.run}`", file=sys.stderr)

    def __call__(self, event: Event) -> None:
        """Takes in an event; prints it where there is no live panel."""
        before = self._best
        self._learn(event)
        if event.kind in UNTOLD:
            return
        is_best = event.kind == EventKind.TRIAL_DONE and self._best != before
        line = clean(event.text) + (" (best so far)" if is_best else "")
        if event.kind == EventKind.WARNING:
            line = f"warning: {line}"
        self._recent.append(line)
        if self._live is None and not self.quiet:
            print(f"{self._clock()} {line}", file=sys.stderr, flush=True)

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
        """Asks the person about a costly decision; see `cli.asking` for what may be answered."""
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
            self._recent.append(STOPPING)
            if self._live is None:
                print(STOPPING, file=sys.stderr, flush=True)
        elif self._live is not None:
            self._live.stop()  # gives the cursor back before the process ends
        raise KeyboardInterrupt

    def _learn(self, event: Event) -> None:
        data = event.data
        if event.kind == EventKind.STARTED:
            if data.get("run") != self.run:
                self._best = None  # short trainings that came first are no match for full ones
            self.run, self._limits = data.get("run"), data.get("budget")
            if (metric := data.get("metric")) is not None:
                self._sign, self._unit = metric.sign, metric.unit
            for trial in self._earlier:
                self._consider(trial.value, trial.name)
        self._spent = data.get("spent", self._spent)
        if event.kind == EventKind.TRIAL_DONE:
            self._consider(data.get("value"), str(data.get("trial", "?")))

    def _consider(self, value: float | None, trial: str) -> None:
        if value is None:
            return
        if self._best is None or self._sign * value > self._sign * self._best[0]:
            self._best = (value, trial)

    def _clock(self) -> str:
        minutes, seconds = divmod(int(time.monotonic() - self._started), 60)
        return f"{minutes:02d}:{seconds:02d}"

    def _panel(self) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.text import Text

        share, words = self._done()
        best = "no score yet"
        if self._best is not None:
            best = f"best {self._best[0]:.4g} {self._unit} ({self._best[1]})"
        head = Text(f"run {self.run or '...'}  {self._clock()}  {words}  {best}", style="bold")
        lines = [
            Text(line, style="dim", no_wrap=True, overflow="ellipsis") for line in self._recent
        ]
        return Group(head, ProgressBar(total=1.0, completed=share, width=60), *lines)

    def _done(self) -> tuple[float, str]:
        """Returns the used share of the tightest limit, and the account in words."""
        limits, spent = self._limits, self._spent
        if limits is None or spent is None:
            return 0.0, ""
        share, words = 0.0, []
        for name, unit in (("trials", "trials"), ("wall_s", "s"), ("train_s", "s of training"),
                           ("tokens", "tokens"), ("dollars", "$")):  # fmt: skip
            limit, used = getattr(limits, name), getattr(spent, name) or 0
            if limit is not None:
                share = max(share, min(1.0, used / limit))
                words.append(f"{used:.4g}/{limit:.4g} {unit}")
        return share, ", ".join(words)
