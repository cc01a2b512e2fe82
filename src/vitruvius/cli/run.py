"""Commands that drive a run: run, resume, stop."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vitruvius.cli.console import (
    Home,
    Json,
    RunId,
    note,
    opened,
    print_json,
    print_markdown,
    run_of,
)
from vitruvius.errors import INTERRUPTED, ConfigError
from vitruvius.spaces import built_in as built_in_spaces
from vitruvius.tasks import built_in as built_in_tasks

if TYPE_CHECKING:
    from vitruvius.graphs.drive.estimating import Estimate
    from vitruvius.run.handle import SearchRun


def _count_or_auto(text: str) -> int | str:
    return text if text == "auto" else int(text)


Workers = Annotated[
    int | None,
    typer.Option(
        parser=_count_or_auto,
        metavar="N|auto",
        help="Trainings at once; default auto: one a core, at most 4.",
    ),
]
Detach = Annotated[
    bool,
    typer.Option(
        "--detach",
        help="Go on in a process of its own, which outlives this shell. Follow it with "
        "`vitruvius show --follow`, end it with `vitruvius stop`.",
    ),
]
OnEnd = Annotated[
    str | None,
    typer.Option(
        metavar="COMMAND",
        help="Command that the shell runs when the run ends, with its summary.json as \\$1.",
    ),
]
TensorBoard = Annotated[
    Path | None,
    typer.Option(
        "--tensorboard",
        metavar="FOLDER",
        help="Write TensorBoard's event files here (needs vitruvius\\[tensorboard]).",
    ),
]
Ask = Annotated[bool, typer.Option("--ask", help="Ask at the terminal before each costly step.")]
AskAbove = Annotated[
    str | None,
    typer.Option(
        metavar="PRICE",
        help="With --ask: only about steps that cost more, like '10min, $1'; default every "
        "training and cut.",
    ),
]


def run(
    task: Annotated[
        str | None,
        typer.Option(
            help=f"{built_in_tasks.help_words()}; options follow a colon: mnist1d:epochs=4."
        ),
    ] = None,
    space: Annotated[
        str | None,
        typer.Option(
            help=f"{built_in_spaces.help_words()}; options follow a colon: nb201:channels=16."
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(help="Limits: '60 trials, 8h, 2M tokens, $5'; the first one reached ends it."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="analyst (built in, no key), a model that your endpoint serves, the path of a "
            ".gguf file (needs vitruvius\\[local]), or auto: the endpoint if one is set up, else "
            "the analyst."
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every random choice.")] = None,
    workers: Workers = None,
    home: Home = None,
    control: Annotated[
        float | None,
        typer.Option(help="Share of trials spent on a random-search arm to compare with."),
    ] = None,
    explore: Annotated[
        float | None, typer.Option(help="Share of trials drawn uniformly, outside cuts too.")
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="Which metric of a table: c10, c100, in16, or a column.")
    ] = None,
    noise: Annotated[
        bool,
        typer.Option("--noise", help="Let a table answer with one recorded run, not the mean."),
    ] = False,
    replay: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="Do a recorded run again, its model's stored replies in the model's place, and "
            "check that it ends the same: a run, or a file of `vitruvius recording`.",
        ),
    ] = None,
    principles_from: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RUN|TABLE|FILE|memory|none",
            help="Where the run takes principles and trials of others from; may be repeated. "
            "Default memory: every earlier run that fits. A table or a file of rows is learned "
            "from first, as `vitruvius learn` does.",
        ),
    ] = None,
    fidelity_first: Annotated[
        str | None,
        typer.Option(
            metavar="EPOCHS",
            help="Begin with short trainings, like 12ep, which guide the full ones. The budget "
            "pays for their time; a limit on trials counts full ones.",
        ),
    ] = None,
    halving: Annotated[
        bool | None,
        typer.Option(
            "--halving",
            help="Stop a training after a ninth and a third of its epochs, unless it is among the "
            "best third of this run there.",
        ),
    ] = None,
    on_end: OnEnd = None,
    tensorboard: TensorBoard = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Say what it would take, and start nothing.")
    ] = False,
    detach: Detach = False,
    ask: Ask = False,
    ask_above: AskAbove = None,
    as_json: Json = False,
) -> None:
    r"""Search for the best network of a task, and learn why it is the best.

    Examples:
      vitruvius run

      vitruvius run --task digits --space macro --budget "40 trials, 30min" --seed 7

      vitruvius run --task data:fashion/ --space nb201:channels=16 --budget 8h

      vitruvius run --task table:nas_bench_201.parquet --metric c10 --budget "100 trials"

      vitruvius run --task my_task.py:task --space my_space.py:space

      vitruvius run --task my_task.py:task --principles-from results_of_last_year.csv

      vitruvius run --task digits --principles-from 261122-4f1a --principles-from 261120-77b2

      OPENAI_BASE_URL=http://127.0.0.1:8080/v1 vitruvius run --model qwen3

      vitruvius run --model qwen3-4b.gguf

      vitruvius run --budget 8h --workers auto --detach --on-end 'mail -s done me < "\$1"'

    Ctrl-C stops it so that `vitruvius resume` can go on; a second Ctrl-C leaves at once.
    """
    from vitruvius import api
    from vitruvius.cli.live import TerminalProgress

    ref = table_ref(task, metric, noise)
    # Mistakes are told before anything is started, a panel or a run.
    if replay is not None and (ask or estimate):
        raise ConfigError("a replay asks nobody and is not estimated; leave out --ask, --estimate")
    _check_detached(detach, ask)
    if estimate:
        chosen = {"model": model, "workers": workers, "home": home}
        _print_estimate(api.estimate(ref, space, budget, **chosen), as_json)
        return
    # From here on: what `create` learns and estimates is told too, and Ctrl-C is answered.
    with TerminalProgress(quiet=as_json) as progress:
        asker = progress.asker(ask)
        found = api.create(
            ref,
            space,
            budget,
            replay=replay,
            model=model,
            seed=seed,
            workers=workers,
            home=home,
            control=control,
            explore=explore,
            principles_from=principles_from or None,
            fidelity_first=fidelity_first,
            on_end=on_end,
            tensorboard=tensorboard,
            ask_above=ask_above,
            halving=halving,
            on_event=progress,
        )
        if not detach:
            found.resume(on_event=progress, ask=asker)
    if detach:
        _detach(found, as_json)
        return
    _finish(found, as_json)


def resume(
    run_id: RunId = None,
    workers: Workers = None,
    home: Home = None,
    on_end: OnEnd = None,
    tensorboard: TensorBoard = None,
    detach: Detach = False,
    ask: Ask = False,
    ask_above: AskAbove = None,
    as_json: Json = False,
) -> None:
    """Go on with a run that was stopped or killed, exactly where it stood.

    Finished trainings are kept and none is done twice. User files must be as they were.

    Example: vitruvius resume 261122-4f1a
    """
    from vitruvius import api
    from vitruvius.cli.live import TerminalProgress

    _check_detached(detach, ask)
    with opened(home) as ledger:
        name = run_of(ledger, run_id).id
        earlier = ledger.trials.of(name)  # the best so far may be one of them
    found = api.open(name, home=home)
    given: dict[str, Any] = {"workers": workers, "on_end": on_end, "tensorboard": tensorboard}
    if detach:
        _detach(found, as_json, **given)
        return
    with TerminalProgress(quiet=as_json, earlier=earlier) as progress:
        found.resume(on_event=progress, ask=progress.asker(ask), ask_above=ask_above, **given)
    _finish(found, as_json)


def stop(run_id: RunId = None, home: Home = None) -> None:
    """Ask the process that drives a run to stop; the run can be resumed.

    It cancels the trainings under way and writes its report, within seconds.
    """
    from vitruvius.memory.ledger.runs import is_live
    from vitruvius.memory.ledger.schema import now
    from vitruvius.memory.records import RunStatus
    from vitruvius.run.short_first import driven

    with opened(home) as ledger:
        record = driven(ledger, run_of(ledger, run_id))
        if record.status != RunStatus.RUNNING:
            print(f"run {record.id} is not running: it is {record.status}")
            return
        if not is_live(record.host, record.pid, record.heartbeat, now()):
            print(
                f"run {record.id} is not running: process {record.pid} on {record.host}, which "
                f"drove it, is dead; go on with `vitruvius resume {record.id}`"
            )
            return
        ledger.runs.request_stop(record.id)
    print(f"run {record.id} was asked to stop; go on with `vitruvius resume {record.id}`")


def _check_detached(detach: bool, ask: bool) -> None:
    if detach and ask:
        raise ConfigError("--ask needs a terminal, which a detached run has none of; choose one")


def table_ref(task: str | None, metric: str | None, noise: bool) -> str | None:
    """Returns the task's reference with the table's options folded in.

    Raises:
        ConfigError: the options make no sense for this task, or say a thing twice.
    """
    extra = {"metric": metric, "noise": "true" if noise else None}
    for name, value in extra.items():
        if value is None:
            continue
        if task is None or not task.startswith("table:"):
            raise ConfigError(
                f"--{name} needs a task of the form table:PATH, got {task or 'none'!r}"
            )
        if f",{name}=" in task:
            raise ConfigError(f"--{name} is given twice: the task {task!r} names it too")
        task = f"{task},{name}={value}"
    return task


def _detach(found: SearchRun, as_json: bool, **settings: Any) -> None:
    """Starts a process that drives the run, and says how to follow and stop it."""
    from vitruvius.run.detached import DRIVER_LOG

    log = found.home / "runs" / found.id / DRIVER_LOG
    pid = found.start(**settings)
    if as_json:
        print_json({"run": found.id, "pid": pid, "home": str(found.home), "log": str(log)})
        return
    where = _home_words(found)
    print(
        f"run {found.id} is driven by process {pid}, in the background\n"
        f"follow it   vitruvius show {found.id} --follow{where}\n"
        f"stop it     vitruvius stop {found.id}{where}\n"
        f"log         {log}"
    )


def _home_words(found: SearchRun) -> str:
    """Returns the flag that names the home, where the settings name another."""
    from vitruvius.settings import load_settings

    is_usual = found.home == load_settings({}).home
    return "" if is_usual else f" --home {shlex.quote(str(found.home))}"


def _print_estimate(found: Estimate, as_json: bool) -> None:
    """Prints what a run would take."""
    from vitruvius.graphs.drive.estimating import estimate_words

    if as_json:
        print_json(found.data)
    else:
        print(estimate_words(found))


def _finish(found: SearchRun, as_json: bool) -> None:
    """Prints what was found and exits with the run's code."""
    from vitruvius.memory.ledger.ledger import Ledger
    from vitruvius.memory.ledger.runs import run_data
    from vitruvius.memory.records import RunStatus
    from vitruvius.tools.report import build_report, summary
    from vitruvius.tools.report.data import best_data

    with Ledger.open(found.home) as ledger:
        made = build_report(ledger, found.id, found.space, found.task)
    path = found.home / "runs" / found.id / "report.md"
    if as_json:
        print_json(
            {"run": run_data(made.run), "best": best_data(made), "report": str(path),
             "distrust": list(made.distrust)}
        )  # fmt: skip
    else:
        print_markdown(summary(made))
        print(f"\nReport: {path.with_suffix('.html')}\nAs text: vitruvius report {found.id}")
    # What was found is printed in any case; the code says how far it can be relied on.
    if made.run.status != RunStatus.DONE:
        note(f"run {found.id} is {made.run.status}; go on with `vitruvius resume {found.id}`")
        raise typer.Exit(INTERRUPTED)
    if made.best is None:
        if made.n_trials:
            note("no trial finished with a score; the report says how each one failed")
        else:
            note("the budget ran out before the first trial; allow more")
        raise typer.Exit(1)
