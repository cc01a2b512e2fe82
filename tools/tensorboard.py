"""A listener that writes a run's events as TensorBoard's event files.

One folder a run, with its account and the best value so far by trial, and in it one folder a trial,
with its learning curve and, for the page HPARAMS, its architecture. A resumed run adds to them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vitruvius.errors import ConfigError
from vitruvius.events import Event, EventKind

Listener = Callable[[Event], None]


def check_tracker(folder: Path | None) -> None:
    """Checks that event files can be written, where they are wanted.

    Raises:
        ConfigError: the package is not installed.
    """
    if folder is None:
        return
    try:
        import tensorboard  # noqa: F401 - a part of what torch writes them with
    except ImportError:
        raise ConfigError(
            "setting tensorboard needs a package that is not installed: "
            "pip install 'vitruvius[tensorboard]'"
        ) from None


@contextmanager
def tracked(folder: Path, run_id: str, listener: Listener) -> Iterator[Listener]:
    """Yields a listener that writes to `folder/<run>` and passes each event on.

    Raises:
        ConfigError: the package is not installed, or the folder cannot be written.
    """
    check_tracker(folder)
    try:
        board = Board(folder / run_id)
    except OSError as error:
        raise ConfigError(f"cannot write to {folder}: {error.strerror}") from None

    def listen(event: Event) -> None:
        board.take(event)
        listener(event)

    try:
        yield listen
    finally:
        board.close()


class Board:
    """The event files of one run."""

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._folder, self._make = folder, SummaryWriter
        self._writer = SummaryWriter(str(folder))
        self._sign, self._best = 1.0, -math.inf

    def take(self, event: Event) -> None:
        """Writes what a trial found, and what was spent by then."""
        if event.kind == EventKind.STARTED and event.data.get("metric") is not None:
            self._sign = float(event.data["metric"].sign)
        if event.kind != EventKind.TRIAL_DONE:
            return
        number = int(str(event.data["trial"]).removeprefix("T"))
        value, spent = event.data.get("value"), event.data["spent"]
        scalars = {
            f"spent/{name}": getattr(spent, name) for name in ("wall_s", "tokens", "dollars")
        }
        if value is not None:
            # the random arm and fresh seeds measure the search and are no part of it
            if event.data["origin"] not in ("control", "confirm"):
                self._best = max(self._best, self._sign * value)
            scalars["search/value"] = value
            if math.isfinite(self._best):
                scalars["search/best"] = self._sign * self._best
        for name, number_ in scalars.items():
            self._writer.add_scalar(name, number_, number)
        # each trial: whoever watches does not wait, and a kill loses none
        self._writer.flush()
        if value is not None:
            self._write_trial(event.data, value)

    def _write_trial(self, data: Mapping[str, Any], value: float) -> None:
        with self._make(str(self._folder / str(data["trial"]))) as writer:
            for epoch, point in enumerate(data["curve"], start=1):
                writer.add_scalar("trial/curve", point, epoch)
            fixed = {"origin": str(data["origin"]), "seed": int(data["seed"])}
            writer.add_hparams(_slots(data["architecture"]) | fixed, {"value": value}, run_name=".")

    def close(self) -> None:
        """Writes what is left."""
        self._writer.close()


def _slots(text: str) -> dict[str, str | int | float | bool]:
    """Returns the slots of an architecture and their choices, or its text where it has none."""
    spec = json.loads(text)
    if not isinstance(spec, dict):
        return {"architecture": text}
    return {
        name: value if isinstance(value, str | int | float | bool) else json.dumps(value)
        for name, value in spec.items()
    }
