"""A run that another process drives: started there, and watched from here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vitruvius.errors import ConfigError
from vitruvius.events import Event
from vitruvius.run.driver import RunDriver


class DetachedRun(RunDriver):
    """One run of the ledger, and the way on with it in the background."""

    def start(self, **settings: Any) -> int:
        """Drives the run on in a process of its own and returns its id once it holds the run.

        It outlives this process; what it prints is in `runs/<id>/driver.log`. Its working folder
        is this one.

        Raises:
            ConfigError: the run's space or task is an object, which no other process has.
            RunHeld: another live process drives it.
            VitruviusError: the process could not begin; the sentence is its own.
        """
        from vitruvius.run.process import start_detached

        record = self.record
        for what, ref in (("space", record.space_ref), ("task", record.task_ref)):
            if not ref:
                raise ConfigError(
                    f"the {what} of run {self.id} is an object of this process, which another "
                    "does not have; name it as file.py:object, or drive the run here"
                )
        given = self._own | {n: v for n, v in settings.items() if v is not None}
        return start_detached(self.id, self.home, given)

    def follow(self, last: int | None = None) -> Iterator[Event]:
        """Yields the run's events, whoever drives it, and ends when the run does.

        All of the past come first, or the `last` few. Where the driver is dead, the last event
        is a warning with `dead` in its data.
        """
        from vitruvius.run.following import follow

        return follow(self.id, self.home, last)
