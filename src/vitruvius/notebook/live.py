"""Live progress in a notebook: one display that is drawn again; lines of text elsewhere."""

from __future__ import annotations

import contextvars
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from vitruvius.events import Event, EventKind, Listener
from vitruvius.memory.records import Trial
from vitruvius.notebook.tally import Tally

REFRESH_S = 0.25  # a front end that is told more often only falls behind


def in_kernel() -> bool:
    """Returns whether this process is the kernel of a notebook."""
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None else None
    return getattr(shell, "kernel", None) is not None


class Panel:
    """A listener that shows a run while it works, in a notebook or as lines on standard error.

    Events come from another thread than the cell's, and go on after the cell has ended.
    """

    def __init__(self, run: str, earlier: Sequence[Trial] = ()) -> None:
        """Makes the listener; `earlier` trials are those of the run before it was taken up."""
        self.tally = Tally(run=run, earlier=earlier)
        self._lock, self._drawn = threading.Lock(), 0.0
        self._handle: Any = None
        if in_kernel():
            from IPython import display

            show: Any = display.display
            self._handle = show(self, display_id=True)

    def __call__(self, event: Event) -> None:
        with self._lock:
            said = self.tally.take(event)
            if self._handle is None:
                if said is not None:
                    print(f"{self.tally.clock()} {said}", file=sys.stderr, flush=True)
                return
            now = time.monotonic()
            if now - self._drawn >= REFRESH_S or event.kind == EventKind.DONE:
                self._drawn = now
                self._show()

    def end(self, status: str) -> None:
        """Shows the last state of a run that is no longer driven, or why it could not go on."""
        with self._lock:
            self.tally.status = status
            if self._handle is None:
                print(f"{self.tally.clock()} run {self.tally.run}: {status}", file=sys.stderr)
            else:
                self._show()

    def _show(self) -> None:
        with suppress(Exception):  # a front end that is gone must not stop the run
            # The thread bears the context of the cell that started it, which may be long done.
            contextvars.Context().run(self._handle.update, self)

    def __repr__(self) -> str:
        tally = self.tally
        return "\n".join([f"run {tally.run} {tally.status} {tally.clock()}  {self._best()}",
                          tally.used()[1], *tally.lines])  # fmt: skip

    def _repr_html_(self) -> str:
        from vitruvius.notebook.html import bar, card, line, spark

        tally = self.tally
        share, account = tally.used()
        said = [line(one, "muted") for one in tally.lines]
        return card(
            line(f"run {tally.run}: {tally.status}, {tally.clock()}", "muted"),
            line(self._best(), "big"),
            bar(share),
            line(account, "muted"),
            spark(tally.course),
            *said,
        )

    def _best(self) -> str:
        tally = self.tally
        if tally.best is None:
            return "no score yet"
        unit = tally.metric.unit if tally.metric is not None else ""
        return f"best {tally.best[0]:.4g} {unit} ({tally.best[1]})".replace("  ", " ")


def both(first: Listener, second: Listener) -> Listener:
    """Returns a listener that tells two."""

    def tell(event: Event) -> None:
        first(event)
        second(event)

    return tell
