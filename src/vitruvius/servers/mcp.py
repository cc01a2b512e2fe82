"""The MCP server: a coding agent starts searches, follows them, and questions the ledger.

Holds no logic of its own: every tool is a call that the command line and notebooks have too. A
search works in a process of its own, so it outlives the agent that asked for it.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, ToolError
from mcp.types import ToolAnnotations

from vitruvius import api
from vitruvius.errors import VitruviusError
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.ledger.runs import is_live, run_data
from vitruvius.memory.ledger.schema import now
from vitruvius.memory.records import RunStatus
from vitruvius.run.payloads import cut_data, trial_data, version_data
from vitruvius.settings import DEFAULT_BUDGET, load_settings
from vitruvius.spaces import built_in as built_in_spaces
from vitruvius.spaces.built_in import DEFAULT as DEFAULT_SPACE
from vitruvius.tasks import built_in as built_in_tasks
from vitruvius.tools.calls.registry import examples
from vitruvius.tools.report.data import best_data

INSTRUCTIONS = """\
Vitruvius searches for neural networks and learns design principles from its own trials.
`search` starts a run in a process of its own and returns its id at once; `wait` follows it. Every
figure that you get carries the names of the trials (T17) that it rests on. Trial values are of
validation data; test figures stand in the report only. `steer` asks a run for something: it is
validated, paid from the run's budget and written down like any decision."""
SEARCH = f"""\
Starts a search for the best network of a task and returns the run's id at once.

task: {built_in_tasks.help_words()};
space: {built_in_spaces.help_words()};
budget: limits such as "60 trials, 8h, 2M tokens, $5", the first one reached ends it."""
POLL_S = 0.5
LONGEST_WAIT_S = 600.0
READS = ToolAnnotations(read_only_hint=True)

P = ParamSpec("P")
R = TypeVar("R")


def create_server(home: Path | None = None) -> MCPServer:
    """Returns the server of a home; `run()` serves it on stdin and stdout.

    Args:
        home: of the ledger; left out, as settings say.
    """
    folder = load_settings({"home": home}).home
    server = MCPServer("vitruvius", instructions=INSTRUCTIONS, log_level="WARNING")
    _add_searching(server, folder)
    _add_looking(server, folder)
    _add_resources(server, folder)
    return server


def _add_searching(server: MCPServer, home: Path) -> None:
    """Adds the tools that start, follow and steer runs."""

    @server.tool(description=SEARCH)
    @_told(ToolError)
    def search(
        task: str,
        space: str = DEFAULT_SPACE,
        budget: str = DEFAULT_BUDGET,
        model: str = "auto",
        seed: int = 0,
        principles_from: list[str] | None = None,
    ) -> dict[str, Any]:
        run = api.create(
            task,
            space,
            budget,
            home=home,
            model=model,
            seed=seed,
            principles_from=principles_from,
        )
        run.start()
        return _status(home, run.id)

    @server.tool()
    @_told(ToolError)
    def resume(run: str) -> dict[str, Any]:
        """Goes on with a run that was stopped or killed, in a process of its own."""
        api.open(run, home=home).start()
        return _status(home, run)

    @server.tool()
    @_told(ToolError)
    def stop(run: str) -> dict[str, Any]:
        """Asks the process that drives a run to stop; `resume` goes on with it."""
        api.open(run, home=home).stop()
        return _status(home, run)

    @server.tool(annotations=READS)
    @_told(ToolError)
    def wait(run: str, seconds: float = 60.0) -> dict[str, Any]:
        """Waits until a run has ended, at most `seconds` (600), and says where it stands."""
        until = time.monotonic() + min(seconds, LONGEST_WAIT_S)
        while _is_driven(home, run) and time.monotonic() < until:
            time.sleep(POLL_S)
        return _status(home, run)

    @server.tool(description=_steering())
    @_told(ToolError)
    def steer(run: str, call: dict[str, Any]) -> dict[str, Any]:
        wish = api.open(run, home=home).steer(call, author="mcp")
        return {"wish": wish.id, "status": wish.status.value, "words": wish.words}

    @server.tool()
    @_told(ToolError)
    def fork(run: str, at: int | None = None) -> dict[str, Any]:
        """Makes a new run that shares all up to step `at` and sees nothing of what came after."""
        return _status(home, api.open(run, home=home).fork(at).id)


def _steering() -> str:
    """Returns what `steer` does: how each wish is written, as the tools themselves say."""
    return (
        "Asks a run for something, carried out by whoever drives it.\n\n"
        f"call is one of {', '.join(examples())}. Nothing is carried out while nobody drives the "
        "run."
    )


def _add_looking(server: MCPServer, home: Path) -> None:
    """Adds the tools that only read."""

    @server.tool(annotations=READS)
    @_told(ToolError)
    def runs() -> list[dict[str, Any]]:
        """Lists the runs, the latest first."""
        with Ledger.open(home) as ledger:
            return [run_data(run) for run in ledger.runs.all()]

    @server.tool(annotations=READS)
    @_told(ToolError)
    def show(run: str) -> dict[str, Any]:
        """Says where a run stands: account, best network so far, principles, cuts."""
        return _status(home, run) | _learned(home, run)

    @server.tool(annotations=READS)
    @_told(ToolError)
    def trials(run: str, best: int = 20) -> list[dict[str, Any]]:
        """Lists the best trials of a run by validation, the best first."""
        found = api.open(run, home=home)
        with Ledger.open(home) as ledger:
            scored = [trial for trial in ledger.trials.of(run) if trial.value is not None]
        sign = found.task.metric.sign
        scored.sort(key=lambda trial: (-sign * (trial.value or 0.0), trial.number))
        return [trial_data(trial) for trial in scored[:best]]

    @server.tool(annotations=READS)
    @_told(ToolError)
    def why(principle: str) -> list[dict[str, Any]]:
        """Returns every version of a principle (P7): who wrote it, when, and what was measured."""
        with Ledger.open(home) as ledger:
            measured = {(e.version, e.run_id): e for e in ledger.evidence.about(principle)}
            return [
                version_data(version, measured.get((version.version, version.run_id or "")))
                for version in ledger.principles.versions(principle)
            ]

    @server.tool(annotations=READS)
    @_told(ToolError)
    def ask(run: str, question: str) -> str:
        """Answers a question about a run from its ledger, with the trials that the answer rests on.

        Nothing costly is done.
        """
        return api.open(run, home=home).ask(question)


def _add_resources(server: MCPServer, home: Path) -> None:
    """Adds what can be read by address."""

    @server.resource("vitruvius://runs", mime_type="application/json")
    @_told(ResourceError)
    def all_runs() -> str:
        """Every run of the ledger, the latest first."""
        with Ledger.open(home) as ledger:
            return _json([run_data(run) for run in ledger.runs.all()])

    @server.resource("vitruvius://principles", mime_type="application/json")
    @_told(ResourceError)
    def all_principles() -> str:
        """Every principle as it stands now, with rule and history's end."""
        with Ledger.open(home) as ledger:
            return _json([version_data(version) for version in ledger.principles.all_current()])

    @server.resource("vitruvius://runs/{run}/report", mime_type="text/markdown")
    @_told(ResourceError)
    def report(run: str) -> str:
        """The report of a run, from the ledger as it stands."""
        return api.open(run, home=home).report

    @server.resource("vitruvius://runs/{run}/trials", mime_type="application/json")
    @_told(ResourceError)
    def trials(run: str) -> str:
        """Every trial of a run, in order."""
        with Ledger.open(home) as ledger:
            ledger.runs.get(run)
            return _json([trial_data(trial) for trial in ledger.trials.of(run)])

    @server.resource("vitruvius://runs/{run}/principles", mime_type="application/json")
    @_told(ResourceError)
    def principles(run: str) -> str:
        """The principles and cuts that a run works with, and what its trials say of them."""
        return _json(_learned(home, run))


def _status(home: Path, run_id: str) -> dict[str, Any]:
    found = api.open(run_id, home=home)
    with Ledger.open(home) as ledger:
        run, spent = ledger.runs.get(run_id), ledger.steps.spent(run_id)
    return {
        "run": run_data(run),
        "spent": vars(spent),
        # A report is made for this; before the first trial it would say nothing.
        "best": best_data(found.facts()) if spent.trials else None,
    }


def _learned(home: Path, run_id: str) -> dict[str, Any]:
    with Ledger.open(home) as ledger:
        latest = ledger.evidence.latest(run_id)
        return {
            "principles": [
                version_data(version, latest.get((version.principle, version.version)))
                for version in ledger.principles.current(run_id)
            ],
            "cuts": [cut_data(cut) for cut in ledger.cuts.of(run_id)],
        }


def _is_driven(home: Path, run_id: str) -> bool:
    with Ledger.open(home) as ledger:
        run = ledger.runs.get(run_id)
    return run.status == RunStatus.RUNNING and is_live(run.host, run.pid, run.heartbeat, now())


def _told(error: type[Exception]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Makes the sentences of our errors reach the client; anything else stays a crash."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def told(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return function(*args, **kwargs)
            except VitruviusError as problem:
                raise error(str(problem)) from problem

        return told

    return decorate


def _json(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, default=str)
