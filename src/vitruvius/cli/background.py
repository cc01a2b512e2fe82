"""Runs in the background: how one is started, estimated and followed at a terminal."""

from __future__ import annotations

import json
import shlex
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

import typer

from vitruvius.cli.console import note, print_json
from vitruvius.events import UNTOLD
from vitruvius.tools.safe_text import clean

if TYPE_CHECKING:
    from vitruvius.events import Event
    from vitruvius.graphs.drive.estimating import Estimate
    from vitruvius.run.handle import SearchRun

SHOWN = 30  # events of the past that a follower is shown first
INTERRUPTED = 130


def detached(found: SearchRun, as_json: bool, **settings: Any) -> None:
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


def print_estimate(found: Estimate, as_json: bool) -> None:
    """Prints what a run would take."""
    from vitruvius.graphs.drive.estimating import estimate_words

    if as_json:
        print_json(found.data)
    else:
        print(estimate_words(found))


def follow(found: SearchRun, as_json: bool) -> None:
    """Prints the run's events until it ends; Ctrl-C ends the watching only."""
    from vitruvius.memory.records import RunStatus

    is_dead = False
    try:
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
