"""The handle of a run: one facade, behind which three parts do the work.

`RunFacts` knows what was found, `RunProcess` drives, `RunShown` shows it in a notebook.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from vitruvius.budget import Budget, check_bounded, parse_budget
from vitruvius.errors import ConfigError
from vitruvius.events import Ask, Event, Listener, ignore
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.ledger.requests import Wish
from vitruvius.memory.records import Run, RunKind, RunStatus
from vitruvius.notebook.shown import Plots, RunShown
from vitruvius.run import conversation, detached
from vitruvius.run.facts import BestNetwork, RunFacts
from vitruvius.run.process import RunProcess
from vitruvius.spaces.region import Region
from vitruvius.spaces.space import Architecture, SearchSpace
from vitruvius.tasks.task import Task
from vitruvius.tools.calls.registry import checked_author, read_wish, read_words

if TYPE_CHECKING:
    import pandas as pd

    from vitruvius.graphs.drive.driver import Through
    from vitruvius.notebook.values import Drawing, PrincipleView, TrialView
    from vitruvius.tools.export.files import Exported
    from vitruvius.tools.report.facts import Report

USER = "user"


class SearchRun:
    """One run of the ledger: what it found, and the handle to go on with it or to steer it."""

    def __init__(
        self,
        run_id: str,
        home: Path,
        *,
        space: SearchSpace | None = None,
        task: Task | None = None,
        api_key: str | None = None,
        own: Mapping[str, Any] | None = None,
    ) -> None:
        """Makes the handle; `own` are settings given by hand that are never stored."""
        self.id, self.home = run_id, home
        self._api_key = api_key
        self._facts = RunFacts(run_id, home, space=space, task=task)
        kept = dict(own or {}) | ({"api_key": api_key} if api_key else {})
        self._process = RunProcess(self._facts, kept)
        self._shown = RunShown(self._facts)

    def __repr__(self) -> str:
        record = self.record
        return f"SearchRun({self.id}: {record.task_name} on {record.space_name}, {record.status})"

    def _repr_html_(self) -> str:
        return self._shown.card()

    @property
    def record(self) -> Run:
        """The run's row as it stands."""
        return self._facts.record

    @property
    def space(self) -> SearchSpace:
        """The space, made again from its reference where it was not given."""
        return self._facts.space

    @property
    def task(self) -> Task:
        """The task, made again from its reference where it was not given."""
        return self._facts.task

    @property
    def trials(self) -> pd.DataFrame:
        """One row per trial: number, architecture, status, validation value, seed, origin, ..."""
        return self._facts.trials()

    @property
    def principles(self) -> pd.DataFrame:
        """One row per version that the run works with, and what its trials say of it."""
        return self._facts.principles()

    @property
    def region(self) -> Region:
        """What is left of the space after the cuts in force."""
        return self._shown.region()

    @property
    def report(self) -> str:
        """The report as Markdown, from the ledger as it stands."""
        return self._facts.markdown()

    @property
    def report_html(self) -> str:
        """The report as one self-contained page of HTML, from the ledger as it stands."""
        return self._facts.html()

    def facts(self) -> Report:
        """Returns all that reports, pages and plots say of the run as it stands."""
        return self._facts.report()

    @property
    def best(self) -> BestNetwork:
        """The best network: by confirmation where there is one, else by validation.

        Raises:
            ToolError: no trial of the run has a score yet.
        """
        return self._facts.best()

    def export(self, directory: Path | str) -> Exported:
        """Writes the best network's weights and a Python file that builds it with torch alone.

        Raises:
            ToolError: nothing was trained, or no weights of the best network were kept.
        """
        return self._facts.export(Path(directory))

    @property
    def plot(self) -> Plots:
        """The plots, which return matplotlib axes: `run.plot.search_curve()`."""
        return self._shown.plot

    def draw(self, architecture: Architecture | str) -> Drawing:
        """Returns an architecture of the run's space, drawn.

        Raises:
            ToolError: a text that the space cannot read.
        """
        return self._shown.draw(architecture)

    def trial(self, name: str | int) -> TrialView:
        """Returns a trial by its name or number: `run.trial("T17")`.

        Raises:
            ToolError: the run has no such trial.
        """
        return self._shown.trial(name)

    def principle(self, name: str | int) -> PrincipleView:
        """Returns a principle of the run by its name or number, given up or not.

        Raises:
            ToolError: the run has neither written nor recalled it.
        """
        return self._shown.principle(name)

    def resume(
        self,
        *,
        on_event: Listener = ignore,
        ask: Ask | None = None,
        space: SearchSpace | None = None,
        task: Task | None = None,
        progress: bool | None = None,
        **settings: Any,
    ) -> RunStatus:
        """Drives the run on until it is done or stopped, and returns which.

        The first Ctrl-C stops it so that it can be resumed; a second ends the process at once. In a
        notebook, where that would take all variables along, a second one only ends the cell.

        Args:
            on_event: called from another thread with each event.
            ask: called with each costly decision before it is carried out.
            space: the space again, where it was given as an object.
            task: the task again, where it was given as an object.
            progress: whether to show how it goes; None: in a notebook, unless `on_event` is given.
            settings: any setting by name, instead of the stored one.

        Raises:
            RunHeld: another live process drives it.
            ConfigError: its space or task has changed since it was started.
            VitruviusError: it could not go on; what was finished is kept.
        """
        self._facts.give(space, task)
        return self._process.resume(on_event, ask, progress, settings)

    async def aresume(
        self,
        *,
        on_event: Listener = ignore,
        ask: Ask | None = None,
        progress: bool | None = None,
        **settings: Any,
    ) -> RunStatus:
        """Does what `resume` does, awaited; cancelling it stops the run."""
        return await self._process.aresume(on_event, ask, progress, settings)

    def start_here(
        self,
        *,
        on_event: Listener = ignore,
        ask: Ask | None = None,
        space: SearchSpace | None = None,
        task: Task | None = None,
        progress: bool | None = None,
        **settings: Any,
    ) -> Self:
        """Drives the run on in a thread of this process, and returns at once.

        It goes on when the cell has ended, as long as the process lives; `wait` waits for it and
        raises what went wrong, `stop` stops it. Arguments are those of `resume`.

        Raises:
            ConfigError: this handle drives it already.
        """
        self._facts.give(space, task)
        self._process.start_here(on_event, ask, progress, settings)
        return self

    def start(self, **settings: Any) -> int:
        """Drives the run on in a process of its own and returns its id once it holds the run.

        It outlives this process; what it prints is in `runs/<id>/driver.log`. Its working folder
        is this one.

        Raises:
            ConfigError: the run's space or task is an object, which no other process has.
            RunHeld: another live process drives it.
            VitruviusError: the process could not begin; the sentence is its own.
        """
        return self._process.start(settings)

    async def drive_through(
        self, through: Through, *, on_event: Listener = ignore, asks: bool = False
    ) -> RunStatus:
        """Drives the run on the caller's own event loop, its graph run by the caller.

        Args:
            through: runs the search graph of a job in an opened session.
            on_event: called with each event, from any thread.
            asks: whether costly decisions interrupt that graph.
        """
        return await self._process.drive_through(through, on_event, asks)

    def carry_out(
        self, *, on_event: Listener = ignore, ask: Ask | None = None, **settings: Any
    ) -> RunStatus:
        """Drives the run only until no wish is open, then lets go of it, and returns its status.

        A decision that is under way comes first. Where another live process drives the run, that
        one takes the wishes up; the event says which.

        Raises:
            ConfigError: as `resume`.
        """
        return self._process.carry_out(on_event, ask, settings)

    def stop(self) -> None:
        """Asks whoever drives the run to stop; it does so within seconds."""
        self._process.stop()

    def wait(self, timeout: float | None = None) -> RunStatus:
        """Waits until nobody drives the run, and returns where it stands then.

        An interrupt ends the waiting, not the run.

        Args:
            timeout: seconds after which to return in any case.

        Raises:
            VitruviusError: the run was driven in the background here and could not go on.
        """
        return self._process.wait(timeout)

    @property
    def is_running(self) -> bool:
        """Whether the run is being driven, by this process or by another."""
        return self._process.is_running

    def follow(self, last: int | None = None) -> Iterator[Event]:
        """Yields the run's events, whoever drives it, and ends when the run does.

        All of the past come first, or the `last` few. Where the driver is dead, the last event
        is a warning with `dead` in its data.
        """
        return detached.follow(self.id, self.home, last)

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
        secrets = [self._api_key] if self._api_key else []  # a note may quote the key: none is kept
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
            check_bounded(limits, spends_tokens=True)  # who will drive it is not known yet
        with Ledger.open(self.home) as ledger:
            made = ledger.runs.fork(self.id, at, budget=limits)
        space, task = self._facts.given_space, self._facts.given_task
        return type(self)(made.id, self.home, space=space, task=task, api_key=self._api_key)

    def ask(
        self, question: str, *, ask: Ask | None = None, thread: str = "ask", **settings: Any
    ) -> str:
        """Returns the answer to a question about this run, from its ledger and with its trials.

        Args:
            question: in words, or a command of `vitruvius chat` such as `/compare T3 T9`.
            ask: called before a costly step that the answer needs; without it, such are refused.
            thread: of the conversation: a later question may refer to what was said there.
            settings: `model` and the like; by default those of the run.

        Raises:
            ConfigError: the model or a setting cannot be used.
        """
        return conversation.ask(self, question, thread, ask, settings)
