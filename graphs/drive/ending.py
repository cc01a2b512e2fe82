"""What happens when a driver lets go of a run: a summary of what broke, and the user's own command.

The command is the user's: it comes from a flag, a variable or the user's own settings file, never
from a ledger or a project's file, which others may have written.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from vitruvius.errors import RunHeld, VitruviusError
from vitruvius.events import Event, EventKind
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.tools.report import SUMMARY, build_report, write_summary

if TYPE_CHECKING:
    from vitruvius.graphs.drive.driver import Job

OUTPUT = "on_end.log"  # in the folder of the run: what the command printed last
_SHELL = "/bin/sh"


async def end(job: Job, ledger: Ledger, trouble: BaseException | None) -> None:
    """Tells who waits for the end of a run: `trouble` is what ended this driver, if anything did.

    Nothing here fails the run: what goes wrong is a warning. A driver that came for wishes only
    calls no command: the run has not ended.
    """
    if isinstance(trouble, RunHeld | asyncio.CancelledError):
        return  # another process has it: the run goes on
    if trouble is not None:
        logging.getLogger(f"vitruvius.runs.{job.run.id}").error("%s", _sentence(trouble))
        await asyncio.to_thread(_summarise, job, ledger, _sentence(trouble))
    if job.settings.on_end and not job.only_wishes:
        await _call(job, job.settings.on_end)


def _sentence(trouble: BaseException) -> str:
    if isinstance(trouble, VitruviusError):
        return str(trouble)
    return f"{type(trouble).__name__}: {trouble}"


def _summarise(job: Job, ledger: Ledger, error: str) -> None:
    try:
        facts = build_report(ledger, job.run.id, job.space, job.task)
        write_summary(facts, _run_dir(job), error=error)
    except (VitruviusError, OSError) as problem:
        _warn(job, f"no summary was written: {problem}")


async def _call(job: Job, command: str) -> None:
    """Runs the command in a session of its own and ends all of it when its time is up."""
    run_dir, limit_s = _run_dir(job), job.settings.on_end_s
    try:
        log = await asyncio.to_thread((run_dir / OUTPUT).open, "wb")
        with log:
            process = await asyncio.create_subprocess_exec(
                _SHELL, "-c", command, "vitruvius", str(run_dir / SUMMARY),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | {
                    "VITRUVIUS_HOME": str(job.home),
                    "VITRUVIUS_RUN": job.run.id,
                    "VITRUVIUS_SUMMARY": str(run_dir / SUMMARY),
                    "VITRUVIUS_REPORT": str(run_dir / "report.md"),
                },
                start_new_session=True,
            )  # fmt: skip
    except OSError as error:
        _warn(job, f"the command on_end could not be started: {error}")
        return
    try:
        code = await asyncio.wait_for(process.wait(), limit_s)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        _warn(job, f"the command on_end was ended after {limit_s:g} s; see {run_dir / OUTPUT}")
        return
    if code:
        _warn(job, f"the command on_end failed with code {code}; see {run_dir / OUTPUT}")


def _run_dir(job: Job) -> Path:
    return job.home / "runs" / job.run.id


def _warn(job: Job, text: str) -> None:
    job.listener(Event(kind=EventKind.WARNING, text=text))
