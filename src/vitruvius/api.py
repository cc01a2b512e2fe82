"""Searches from Python: start one, open one, look at what it found."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from vitruvius.background import loop, submit
from vitruvius.budget import parse_budget
from vitruvius.errors import ConfigError, ToolError
from vitruvius.events import Event, EventKind, Listener
from vitruvius.memory.ledger import Ledger
from vitruvius.memory.records import Budget, Run, RunStatus
from vitruvius.settings import Settings, load_settings
from vitruvius.spaces.region import Cut, Region
from vitruvius.spaces.registry import absolute_ref, load_space, source_hash
from vitruvius.spaces.rules import words
from vitruvius.spaces.space import Architecture, SearchSpace
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.table import TabularTask
from vitruvius.tasks.task import Task

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from vitruvius.graphs.driver import Job
    from vitruvius.tasks.task import TrainableTask
    from vitruvius.tools.export import Exported
    from vitruvius.tools.report.facts import Best, Report

_LEAVE = 130  # exit code after an interrupt
Ask = Callable[[Mapping[str, Any]], Mapping[str, Any]]
DEFAULT_TASK = "mnist1d"
DEFAULT_SPACE = "nb201"


def _ignore(event: Event) -> None:
    return None


def search(
    task: str | Task = DEFAULT_TASK,
    space: str | SearchSpace = DEFAULT_SPACE,
    budget: str | Budget | None = None,
    *,
    on_event: Listener = _ignore,
    ask: Ask | None = None,
    **settings: Any,
) -> SearchRun:
    """Searches and returns the run when it is done; works in scripts and in notebooks.

    Args:
        task: a name with options (`mnist1d`, `table:nas_bench_201.parquet,metric=c10`), a user's
            `file.py:object`, or a task.
        space: a name with options (`nb201:channels=16`), a user's `file.py:object`, or a space.
        budget: limits such as `"60 trials, 8h, 2M tokens, $5"`.
        on_event: called from another thread with each event.
        ask: called with each costly decision before it is carried out; returns
            `{"approved": True}` or `{"approved": False, "reason": ...}`.
        settings: any setting by name: home, model, seed, workers, explore, control, ...

    Raises:
        ConfigError: a reference, setting or budget that cannot be used; nothing was started.
        VitruviusError: the run could not go on; `open(id).resume()` takes it up.
    """
    run = create(task, space, budget, **settings)
    run.resume(on_event=on_event, ask=ask)
    return run


async def asearch(
    task: str | Task = DEFAULT_TASK,
    space: str | SearchSpace = DEFAULT_SPACE,
    budget: str | Budget | None = None,
    *,
    on_event: Listener = _ignore,
    ask: Ask | None = None,
    **settings: Any,
) -> SearchRun:
    """Does what `search` does, awaited. Cancelling it stops the run, which can be resumed."""
    run = await asyncio.to_thread(create, task, space, budget, **settings)
    await run.aresume(on_event=on_event, ask=ask)
    return run


def open(run_id: str, *, home: Path | str | None = None) -> SearchRun:
    """Returns a run of the ledger, whatever its state.

    Raises:
        ConfigError: there is no such run; the sentence names the nearest.
    """
    resolved = load_settings({"home": home})
    with Ledger.open(resolved.home) as ledger:
        ledger.run(run_id)
    return SearchRun(run_id, resolved.home)


def create(
    task: str | Task,
    space: str | SearchSpace,
    budget: str | Budget | None,
    **settings: Any,
) -> SearchRun:
    """Returns a new run that waits in the ledger; `resume` starts it."""
    text = budget if isinstance(budget, str) else None
    resolved = load_settings({**settings, "budget": text})
    limits = budget if isinstance(budget, Budget) else parse_budget(resolved.budget)
    the_space = load_space(absolute_ref(space)) if isinstance(space, str) else space
    the_task = load_task(absolute_ref(task)) if isinstance(task, str) else task
    if isinstance(the_task, TabularTask):
        the_task.check_space(the_space)
    _check_price(resolved, limits)
    with Ledger.open(resolved.home) as ledger:
        run = ledger.create_run(
            space_ref=the_space.ref,
            space_id=the_space.id,
            space_name=the_space.name,
            task_ref=the_task.ref,
            task_id=the_task.id,
            task_name=the_task.name,
            seed=resolved.seed,
            budget=limits,
            settings=resolved.public(),
            sources=source_hash(the_space.ref) | source_hash(the_task.ref),
        )
    key = settings.get("api_key")
    return SearchRun(run.id, resolved.home, space=the_space, task=the_task, api_key=key)


def _engine() -> ModuleType:
    from vitruvius.graphs import driver

    return driver


def _wait_or_leave(future: Future[RunStatus]) -> RunStatus:
    """Waits for a run that is stopping; a second Ctrl-C ends the process, workers included."""
    try:
        return future.result()
    except KeyboardInterrupt:
        os._exit(_LEAVE)


def _check_price(settings: Settings, budget: Budget) -> None:
    if budget.dollars is None:
        return
    from vitruvius.agents.models import resolve_model
    from vitruvius.agents.prices import price_of

    model = resolve_model(settings).model
    if model is not None and price_of(model, settings.home) is None:
        raise ConfigError(
            f"the budget limits dollars, but the price of model {model!r} is unknown; "
            f"add it to {settings.home / 'prices.toml'} or drop the limit"
        )


class SearchRun:
    """One run of the ledger: what it found, and the handle to go on with it."""

    def __init__(
        self,
        run_id: str,
        home: Path,
        *,
        space: SearchSpace | None = None,
        task: Task | None = None,
        api_key: str | None = None,
    ) -> None:
        self.id, self.home = run_id, home
        self._space, self._task, self._api_key = space, task, api_key
        self._stopping: asyncio.Event | None = None

    def __repr__(self) -> str:
        record = self.record
        return f"SearchRun({self.id}: {record.task_name} on {record.space_name}, {record.status})"

    @property
    def record(self) -> Run:
        """The run's row as it stands."""
        with Ledger.open(self.home) as ledger:
            return ledger.run(self.id)

    @property
    def space(self) -> SearchSpace:
        """The space, made again from its reference where it was not given."""
        if self._space is None:
            self._space = load_space(self._reference("space"))
        return self._space

    @property
    def task(self) -> Task:
        """The task, made again from its reference where it was not given."""
        if self._task is None:
            self._task = load_task(self._reference("task"))
        return self._task

    def _reference(self, what: str) -> str:
        record = self.record
        ref = record.space_ref if what == "space" else record.task_ref
        if not ref:
            raise ConfigError(
                f"run {self.id} searched a {what} given as an object, which is never stored; "
                f"give it again: resume({what}=...)"
            )
        return ref

    def resume(
        self,
        *,
        on_event: Listener = _ignore,
        ask: Ask | None = None,
        space: SearchSpace | None = None,
        task: Task | None = None,
        **settings: Any,
    ) -> RunStatus:
        """Drives the run on until it is done or stopped, and returns which.

        The first Ctrl-C stops it so that it can be resumed; a second ends the process at once.

        Raises:
            RunHeld: another live process drives it.
            ConfigError: its space or task has changed since it was started.
            VitruviusError: it could not go on; what was finished is kept.
        """
        self._space, self._task = space or self._space, task or self._task
        future = submit(self._drive(on_event, ask, settings))
        try:
            return future.result()
        except KeyboardInterrupt:
            self._stop_here()
            return _wait_or_leave(future)

    async def aresume(
        self, *, on_event: Listener = _ignore, ask: Ask | None = None, **settings: Any
    ) -> RunStatus:
        """Does what `resume` does, awaited; cancelling it stops the run."""
        future = submit(self._drive(on_event, ask, settings))
        try:
            return await asyncio.shield(asyncio.wrap_future(future))
        except asyncio.CancelledError:
            self._stop_here()
            await asyncio.wrap_future(future)
            raise

    def stop(self) -> None:
        """Asks whoever drives the run to stop; it does so within seconds."""
        with Ledger.open(self.home) as ledger:
            ledger.request_stop(self.id)
        self._stop_here()

    def _stop_here(self) -> None:
        if self._stopping is not None:
            loop().call_soon_threadsafe(self._stopping.set)

    async def _drive(self, listener: Listener, ask: Ask | None, given: dict[str, Any]) -> RunStatus:
        self._stopping = asyncio.Event()
        try:
            engine = await asyncio.to_thread(_engine)  # imports block: never on the loop
            job = await asyncio.to_thread(self._job, listener, ask, given, engine.Job)
            status: RunStatus = await engine.drive(job)
            return status
        finally:
            self._stopping = None

    def _job(
        self, listener: Listener, ask: Ask | None, given: dict[str, Any], make: type[Job]
    ) -> Job:
        record = self.record
        if record.status == RunStatus.DONE:
            raise ConfigError(f"run {self.id} is done; see `vitruvius report {self.id}`")
        self._check_sources(record)
        stored = {name: value for name, value in record.settings.items() if name != "home"}
        settings = load_settings(
            {**stored, "home": self.home, "api_key": self._api_key}
            | {name: value for name, value in given.items() if value is not None}
        )
        assert self._stopping is not None
        listener(
            Event(
                kind=EventKind.STARTED,
                text=f"run {self.id}: {record.task_name} on {record.space_name}",
                data={
                    "run": self.id,
                    "space": record.space_name,
                    "task": record.task_name,
                    "metric": self.task.metric,
                    "model": settings.model,
                    "budget": record.budget,
                    "workers": settings.workers,
                },
            )
        )
        return make(
            run=record,
            home=self.home,
            settings=settings,
            space=self.space,
            task=self.task,
            listener=listener,
            ask=ask,
            stopping=self._stopping,
        )

    def _check_sources(self, record: Run) -> None:
        now = source_hash(record.space_ref) | source_hash(record.task_ref)
        changed = [path for path, digest in record.sources.items() if now.get(path) != digest]
        if changed:
            raise ConfigError(
                f"{', '.join(changed)} changed since run {self.id} was started, so its results "
                "would not compare; restore the file, or start a new run"
            )
        for what, expected, made in (
            ("space", record.space_id, self.space.id),
            ("task", record.task_id, self.task.id),
        ):
            if expected != made:
                raise ConfigError(
                    f"run {self.id} was started on {what} {expected}, but {made} was found; "
                    "give the same one, or start a new run"
                )

    @property
    def trials(self) -> pd.DataFrame:
        """One row per trial: number, architecture, status, validation value, seed, origin, ..."""
        import pandas as pd

        with Ledger.open(self.home) as ledger:
            trials = ledger.trials(self.id)
        columns = ("number", "origin", "status", "value", "seed", "fidelity", "train_s", "params",
                   "flops", "reused", "message")  # fmt: skip
        rows = [
            {**{name: getattr(trial, name) for name in columns}, "architecture": trial.architecture}
            for trial in trials
        ]
        return pd.DataFrame(rows, columns=[*columns, "architecture"]).set_index("number")

    @property
    def principles(self) -> pd.DataFrame:
        """One row per version that the run works with, and what its trials say of it."""
        import pandas as pd

        with Ledger.open(self.home) as ledger:
            versions, latest = ledger.current(self.id), ledger.latest_evidence(self.id)
        rows = []
        for version in versions:
            evidence = latest.get((version.principle, version.version))
            rows.append(
                {
                    "name": version.name,
                    "statement": version.statement,
                    "rule": words(version.rule),
                    "author": version.author,
                    "standing": evidence.standing.value if evidence else "candidate",
                    "effect": evidence.effect if evidence else None,
                    "low": evidence.low if evidence else None,
                    "high": evidence.high if evidence else None,
                    "top_loss_high": evidence.top_loss_high if evidence else None,
                }
            )
        names = ("name", "statement", "rule", "author", "standing", "effect", "low", "high",
                 "top_loss_high")  # fmt: skip
        return pd.DataFrame(rows, columns=list(names)).set_index("name")

    @property
    def region(self) -> Region:
        """What is left of the space after the cuts in force."""
        with Ledger.open(self.home) as ledger:
            cuts = [cut for cut in ledger.cuts(self.id) if cut.in_force]
        return Region(
            self.space,
            tuple(
                Cut(
                    number=cut.number,
                    rule=cut.rule,
                    principle=cut.principle,
                    reason=cut.reason,
                    provisional=cut.provisional,
                )
                for cut in cuts
            ),
        )

    @property
    def report(self) -> str:
        """The report as Markdown, from the ledger as it stands."""
        from vitruvius.tools.report import to_markdown

        return to_markdown(self._report())

    def _report(self) -> Report:
        from vitruvius.tools.report import build_report

        with Ledger.open(self.home) as ledger:
            return build_report(ledger, self.id, self.space, self.task)

    @property
    def best(self) -> BestNetwork:
        """The best network: by confirmation where there is one, else by validation.

        Raises:
            ToolError: no trial of the run has a score yet.
        """
        best = self._report().best
        if best is None:
            raise ToolError(f"run {self.id} has no finished trial yet")
        return BestNetwork(run=self, facts=best)

    def export(self, directory: Path | str) -> Exported:
        """Writes the best network's weights and a Python file that builds it with torch alone.

        Raises:
            ToolError: nothing was trained, or no weights of the best network were kept.
        """
        from vitruvius.tools.export import export

        best = self.best
        return export(self.space, best.architecture, best.weights, best.task, Path(directory))


@dataclass(frozen=True, kw_only=True)
class BestNetwork:
    """What a run found: the facts of the report, and the trained network itself."""

    run: SearchRun
    facts: Best

    @property
    def architecture(self) -> Architecture:
        return self.facts.finalist.architecture

    @property
    def value(self) -> float:
        """Validation metric: mean over the fresh seeds, or of the search where unconfirmed."""
        judged = self.facts.finalist.confirmed or self.facts.finalist.search
        assert judged is not None
        return judged.mean

    @property
    def params(self) -> int | None:
        return self.facts.finalist.found.params

    @property
    def task(self) -> TrainableTask:
        """The task, if networks are trained on it.

        Raises:
            ToolError: the task is a table, so there is no network.
        """
        from vitruvius.tasks.task import TrainableTask

        if not isinstance(self.run.task, TrainableTask):
            raise ToolError(f"task {self.run.task.name} is a table: nothing was trained")
        return self.run.task

    @property
    def weights(self) -> Path:
        """The file with the trained weights (a state dict, readable with weights_only).

        Raises:
            ToolError: none were kept.
        """
        self.task  # noqa: B018 - says so if nothing was trained
        if self.facts.weights is None or not Path(self.facts.weights[1]).is_file():
            raise ToolError(f"no weights of the best network of run {self.run.id} were kept")
        return Path(self.facts.weights[1])

    def load(self) -> torch.nn.Module:
        """Returns the trained network in evaluation mode, on the CPU.

        Raises:
            ToolError: nothing was trained, or no weights were kept.
        """
        import torch

        from vitruvius.spaces.space import Builder

        task, space, weights = self.task, self.run.space, self.weights
        if not isinstance(space, Builder):
            raise ToolError(f"space {space.name} builds no networks")
        network = space.build(self.architecture, task.input_shape, task.outputs)
        network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        return network.eval()
