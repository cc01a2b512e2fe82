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
from vitruvius.run.background import in_kernel
from vitruvius.run.progress import Progress

REFRESH_S = 0.25  # a front end that is told more often only falls behind
LINES = 6  # of what happened last


class Panel:
    """A listener that shows a run while it works, in a notebook or as lines on standard error.

    Events come from another thread than the cell's, and go on after the cell has ended.
    """

    def __init__(self, run: str, earlier: Sequence[Trial] = ()) -> None:
        """Makes the listener; `earlier` trials are those of the run before it was taken up."""
        self.heard = Progress(run=run, earlier=earlier)
        self._lock, self._drawn = threading.Lock(), 0.0
        self._handle: Any = None
        if in_kernel():
            from IPython import display

            show: Any = display.display
            self._handle = show(self, display_id=True)

    def __call__(self, event: Event) -> None:
        with self._lock:
            said = self.heard.take(event)
            if self._handle is None:
                if said is not None:
                    print(f"{self.heard.clock()} {said}", file=sys.stderr, flush=True)
                return
            now = time.monotonic()
            if now - self._drawn >= REFRESH_S or event.kind == EventKind.DONE:
                self._drawn = now
                self._show()

    def end(self, status: str) -> None:
        """Shows the last state of a run that is no longer driven, or why it could not go on."""
        with self._lock:
            self.heard.status = status
            if self._handle is None:
                print(f"{self.heard.clock()} run {self.heard.run}: {status}", file=sys.stderr)
            else:
                self._show()

    def _show(self) -> None:
        with suppress(Exception):  # a front end that is gone must not stop the run
            # The thread bears the context of the cell that started it, which may be long done.
            contextvars.Context().run(self._handle.update, self)

    def __repr__(self) -> str:
        heard = self.heard
        return "\n".join([f"run {heard.run} {heard.status} {heard.clock()}  {heard.best_words()}",
                          heard.used()[1], *list(heard.lines)[-LINES:]])  # fmt: skip

    def _repr_html_(self) -> str:
        from vitruvius.notebook.html import bar, card, line, spark

        heard = self.heard
        share, account = heard.used()
        said = [line(one, "muted") for one in list(heard.lines)[-LINES:]]
        return card(
            line(f"run {heard.run}: {heard.status}, {heard.clock()}", "muted"),
            line(heard.best_words(), "big"),
            bar(share),
            line(account, "muted"),
            spark(heard.course),
            *said,
        )


def both(first: Listener, second: Listener) -> Listener:
    """Returns a listener that tells two."""

    def tell(event: Event) -> None:
        first(event)
        second(event)

    return tell
