"""Commands that look at runs: runs, show, report, export."""

from __future__ import annotations

import json
import sys
import webbrowser
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vitruvius.cli.console import (
    Home,
    Json,
    RunId,
    home_of,
    note,
    opened,
    print_json,
    print_markdown,
    print_table,
    run_of,
)
from vitruvius.errors import INTERRUPTED, ConfigError
from vitruvius.tools.safe_text import clean

if TYPE_CHECKING:
    from vitruvius.events import Event
    from vitruvius.memory.ledger.ledger import Ledger
    from vitruvius.memory.records import Run, Trial
    from vitruvius.tools.report import Report

SHOWN = 30  # events of the past that a follower is shown first


def runs(home: Home = None, as_json: Json = False) -> None:
    """List the runs of a home, the latest first."""
    from vitruvius.budget import budget_text
    from vitruvius.memory.ledger.runs import run_data
    from vitruvius.memory.records import RunKind

    if not (home_of(home) / "ledger.db").exists():  # no run yet is no mistake here
        print_json([]) if as_json else print(f"no runs in {home_of(home)}; try `vitruvius run`")
        return
    with opened(home) as ledger:
        found = sorted(ledger.runs.all(), key=lambda run: (run.created, run.id), reverse=True)
    if as_json:
        print_json([run_data(run) for run in found])
        return
    print_table(
        ("run", "kind", "status", "started (UTC)", "task", "space", "budget", "model"),
        [
            (
                run.id,
                run.kind,
                run.status,
                f"{run.created:%Y-%m-%d %H:%M}",
                _task_of(run),
                run.space_ref or run.space_name,
                budget_text(run.budget) if run.kind == RunKind.SEARCH else "",
                str(run.settings.get("model", "?")),
            )
            for run in found
        ],
    )


def _task_of(run: Run) -> str:
    """Returns the reference of what was searched, or the name of what was learned from."""
    return run.task_name if run.settings.get("learn") else run.task_ref or run.task_name


def show(
    run_id: RunId = None,
    trials: Annotated[bool, typer.Option("--trials", help="List every trial.")] = False,
    follow: Annotated[
        bool,
        typer.Option("--follow", "-f", help="Print what happens until the run ends; see below."),
    ] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show where a run stands: account, best network so far, principles, cuts, trials.

    It may be asked while the run is being driven. Test figures appear in the report only.

    With --follow it prints the last events and then each new one, whichever process drives the
    run, until that ends; Ctrl-C ends the watching only. Exit codes: 0 the run is done, 1 its
    driver is dead, 130 it was stopped and can be resumed.
    """
    if follow:
        _follow(run_id, home, as_json)
        return
    from vitruvius.memory.ledger.runs import run_data
    from vitruvius.memory.records import RunKind
    from vitruvius.run.payloads import cut_data, trial_data, version_data
    from vitruvius.tools.report import summary
    from vitruvius.tools.report.data import best_data

    with opened(home) as ledger:
        run = run_of(ledger, run_id)
        made = _report(ledger, run)
        all_trials, spent = ledger.trials.of(run.id), ledger.steps.spent(run.id)
        latest, versions = ledger.evidence.latest(run.id), ledger.principles.current(run.id)
        cuts = ledger.cuts.of(run.id)
    if as_json:
        print_json(
            {
                "run": run_data(run),
                "spent": vars(spent),
                "best": best_data(made) if made else None,
                "principles": [
                    version_data(v, latest.get((v.principle, v.version))) for v in versions
                ],
                "cuts": [cut_data(cut) for cut in cuts],
                "trials": [trial_data(trial) for trial in all_trials],
            }
        )
        return
    counted = "rows" if run.kind == RunKind.LEARN else "trials"
    print(
        f"run {run.id} is {run.status}: {run.task_ref or run.task_name} on "
        f"{run.space_ref or run.space_name}, {spent.trials} {counted}, {spent.wall_s:.0f} s, "
        f"{spent.tokens} tokens, ${spent.dollars:.2f}\n"
    )
    if made is not None:
        print_markdown(summary(made))
    if trials:
        print_table(*_trial_table(all_trials))


def _follow(run_id: str | None, home: Path | None, as_json: bool) -> None:
    """Prints the run's events until it ends; Ctrl-C ends the watching only."""
    from vitruvius import api
    from vitruvius.events import UNTOLD
    from vitruvius.memory.records import RunStatus

    with opened(home) as ledger:
        name = run_of(ledger, run_id).id
    found = api.open(name, home=home)
    is_dead = False  # the last word counts: an earlier driver may have died and been replaced
    try:
        # A program gets all that happened; a person has the report for what is long past.
        for event in found.follow(last=None if as_json else SHOWN):
            is_dead = bool(event.data.get("dead"))
            if as_json or event.kind not in UNTOLD:
                print(_json_line(event) if as_json else _line(event), flush=True)
    except KeyboardInterrupt:
        note(f"stopped watching; run {found.id} goes on")
        return
    except BrokenPipeError:  # of `| head`
        sys.stderr.close()
        return
    status = found.record.status
    if is_dead:
        raise typer.Exit(1)
    if status != RunStatus.DONE:
        note(f"run {found.id} is {status}; go on with `vitruvius resume {found.id}`")
        raise typer.Exit(INTERRUPTED)


def _line(event: Event) -> str:
    try:
        at = datetime.fromisoformat(str(event.data.get("time"))).astimezone()
    except ValueError:
        at = datetime.now().astimezone()
    mark = "warning: " if event.kind == "warning" else ""
    return f"{at:%H:%M:%S} {mark}{clean(event.text)}"


def _json_line(event: Event) -> str:
    data = dict(event.data)
    row = {"time": data.pop("time", None), "kind": event.kind.value, "text": event.text}
    return json.dumps(row | {"data": data}, ensure_ascii=False)


def _report(ledger: Ledger, run: Run) -> Report | None:
    """Returns the run's report; None where its space or task cannot be made again here."""
    from vitruvius.spaces.registry import load_space
    from vitruvius.tasks.registry import load_task
    from vitruvius.tools.report import build_report

    if not run.space_ref or not run.task_ref:
        return None
    try:
        space, task = load_space(run.space_ref), load_task(run.task_ref)
    except ConfigError:
        return None
    return build_report(ledger, run.id, space, task)


def _trial_table(trials: list[Trial]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    headers = ("trial", "origin", "status", "value", "seed", "seconds", "architecture", "message")
    rows: list[tuple[str, ...]] = [
        (
            trial.name,
            trial.origin.value,
            trial.status.value,
            "" if trial.value is None else f"{trial.value:.4g}",
            str(trial.seed),
            "" if trial.train_s is None else f"{trial.train_s:.3g}",
            trial.architecture.text,
            trial.problem,
        )
        for trial in trials
    ]
    return headers, rows


def report(
    run_id: RunId = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write to this file instead.")
    ] = None,
    as_html: Annotated[
        bool, typer.Option("--html", help="Write one page of HTML, to the run's folder or --out.")
    ] = False,
    is_opened: Annotated[
        bool, typer.Option("--open", help="Write the page and open it in the browser.")
    ] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Print the report of a run: best network, doubts, principles, cuts, cost, failures.

    Every number is taken from the ledger and names its trials. In a pipe it is Markdown:
    vitruvius report > report.md

    With --json it is the summary that lies in the run's folder as summary.json.

    As one page that needs no network, drawn and linked: vitruvius report --html -o report.html
    """
    from vitruvius.memory.records import RunKind
    from vitruvius.tools.report import SUMMARY, json_text, summary_data, to_markdown

    with opened(home) as ledger:
        run = run_of(ledger, run_id)
        if run.kind == RunKind.IMPORT:
            raise ConfigError(
                f"run {run.id} stands for an import, which has evidence but no trials: see "
                "`vitruvius principles list`"
            )
        made = _report(ledger, run)
    stored = home_of(home) / "runs" / run.id
    if as_html or is_opened:
        _page(made, run.id, stored / "report.html", out, is_opened=is_opened)
        return
    if as_json:
        known = made and json_text(summary_data(made, stored))
        text = known or _stored(stored / SUMMARY, run.id)
    else:
        text = to_markdown(made) if made is not None else _stored(stored / "report.md", run.id)
    if out is None:
        print(text, end="") if as_json else print_markdown(text)
        return
    _write(out, text)


def _page(
    made: Report | None, run_id: str, stored: Path, out: Path | None, *, is_opened: bool
) -> None:
    """Writes the page, made anew where that can be, and shows it if that was asked for."""
    from vitruvius.tools.report.page import to_html

    text = to_html(made) if made is not None else _stored(stored, run_id)
    _write(out or stored, text)
    if is_opened:
        webbrowser.open((out or stored).resolve().as_uri())


def _write(out: Path, text: str) -> None:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write {out}: {error.strerror}") from None
    print(f"wrote {out}")


def _stored(path: Path, run_id: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        raise ConfigError(
            f"the space or task of run {run_id} was given as an object or is no longer there, and "
            f"{path} holds no report"
        ) from None


def recording(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="A run, like 261122-4f1a.")],
    file: Annotated[Path, typer.Argument(help="File to write; it must not be there yet.")],
    home: Home = None,
) -> None:
    """Write what anyone needs to replay a run without its model: one file, prompts and replies.

    It also holds the results and principles of the runs before it, but no key.

    Examples:
      vitruvius recording 261122-4f1a paid.db

      vitruvius run --replay paid.db
    """
    from vitruvius.graphs.drive.replay import export_recording

    export_recording(run_id, home_of(home), file)
    print(f"wrote {file}; check it with `vitruvius run --replay {file}`")


def export(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="A run, like 261122-4f1a.")],
    folder: Annotated[Path, typer.Argument(help="Folder to write into; made if it is not there.")],
    home: Home = None,
) -> None:
    """Write the best network: its weights, and a module that builds it and needs only torch.

    Example: vitruvius export 261122-4f1a my_network
    """
    from vitruvius import api

    api.open(run_id, home=home).export(folder)
    for path in sorted(folder.iterdir()):
        print(path)
