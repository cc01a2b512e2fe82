"""Steering a run: what is asked of it from outside its loop, and runs made from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from vitruvius.budget import Budget, check_bounded, parse_budget
from vitruvius.errors import ConfigError
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.ledger.requests import Wish
from vitruvius.memory.records import RunKind, RunStatus
from vitruvius.run.driver import RunDriver
from vitruvius.tools.calls.registry import checked_author, read_wish, read_words

USER = "user"


class RunSteering(RunDriver):
    """One run of the ledger, the way on with it, and other ways."""

    def steer(self, call: Mapping[str, Any] | str, author: str = USER) -> Wish:
        """Leaves a wish for whoever drives the run, now or next, and returns it.

        Args:
            call: as `tools.calls.registry.read_wish` takes it; a text is a principle where it
                reads as a rule, else a note.
            author: under whose name it is kept.

        Raises:
            ToolError: it cannot be understood, or does not fit the space.
            ConfigError: nobody will drive this run any more.
        """
        record = self.record
        if record.kind != RunKind.SEARCH:
            raise ConfigError(f"run {self.id} is no search ({record.kind}): it cannot be steered")
        if record.status == RunStatus.DONE:
            raise ConfigError(
                f"run {self.id} is done and takes no wishes; go on from it with "
                f"`vitruvius fork {self.id}`"
            )
        space = self.space
        asked = read_words(call, space) if isinstance(call, str) else read_wish(call, space)
        kept, name = asked.kept(space), checked_author(author)
        secrets = [self._api_key] if self._api_key else []
        with Ledger.open(self.home, secrets=secrets) as ledger:
            return ledger.requests.add_wish(self.id, name, kept)

    def fork(self, at: int | None = None, *, budget: str | Budget | None = None) -> Self:
        """Returns a new run that shares what this one had found up to a step, and nothing later.

        It waits in the ledger; `resume` drives it. This one may be at work meanwhile.

        Args:
            at: the last step (number of a decision) that is shared; None: as the run stands.
            budget: of the new run, the shared trials included; None: as that of this one.

        Raises:
            ConfigError: there is no such step, or the budget cannot be used.
        """
        limits = parse_budget(budget) if isinstance(budget, str) else budget
        if limits is not None:
            check_bounded(limits, spends_tokens=True)
        with Ledger.open(self.home) as ledger:
            made = ledger.runs.fork(self.id, at, budget=limits)
        return type(self)(
            made.id, self.home, space=self._space, task=self._task, api_key=self._api_key
        )
