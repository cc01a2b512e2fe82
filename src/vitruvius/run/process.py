"""A run driven by a process of its own, which outlives the shell or the kernel that started it.

The order for it goes over its standard input: what is given by hand, a key included, stands neither
in the ledger nor in a list of processes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vitruvius.errors import ConfigError, RunHeld, VitruviusError
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.run.short_first import driven

DRIVER_LOG = "driver.log"  # in the folder of a run: what its driver prints
SAYS = "vitruvius: "  # how a sentence of ours begins, see __main__
POLL_S = 0.1
PATIENCE_S = 300.0  # a busy machine takes its time to import torch
_INTERRUPTED = 130
_KINDS: Mapping[int, type[VitruviusError]] = {
    kind.exit_code: kind for kind in (VitruviusError, ConfigError, RunHeld)
}


def start_detached(run_id: str, home: Path, settings: Mapping[str, Any]) -> int:
    """Starts a process that drives the run, and returns its id once it holds the run.

    Raises:
        RunHeld: another live process drives the run.
        VitruviusError: the process ended before it held the run; the sentence is its own.
    """
    path = home / "runs" / run_id / DRIVER_LOG
    path.parent.mkdir(parents=True, exist_ok=True)
    began = path.stat().st_size if path.exists() else 0
    with path.open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "vitruvius.run.process", run_id],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,  # a shell that ends, or its Ctrl-C, does not reach it
            env=os.environ | {"PYTHONPATH": os.pathsep.join(part for part in sys.path if part)},
        )
    order = {"home": str(home), "settings": dict(settings)}
    try:
        assert child.stdin is not None
        with child.stdin as pipe:
            pipe.write(json.dumps(order, default=str).encode())
    except BrokenPipeError:
        pass  # it ended at once: its log says why
    _wait_until_held(child, run_id, home, path, began)
    return child.pid


def _wait_until_held(
    child: subprocess.Popen[bytes], run_id: str, home: Path, log: Path, began: int
) -> None:
    deadline = time.monotonic() + PATIENCE_S
    with Ledger.open(home) as ledger:
        while (code := child.poll()) is None:
            if driven(ledger, ledger.runs.get(run_id)).pid == child.pid:
                # Its end is waited for, so that it leaves no zombie in a process that lives on.
                threading.Thread(target=child.wait, daemon=True).start()
                return
            if time.monotonic() > deadline:
                child.kill()
                child.wait()
                raise VitruviusError(
                    f"the process for run {run_id} did not begin within {PATIENCE_S:.0f} s and "
                    f"was ended; {log} may say why"
                )
            time.sleep(POLL_S)
    if code not in (0, _INTERRUPTED):  # else it was quick, and is done
        raise _KINDS.get(code, VitruviusError)(_last_words(log, began, code))


def _last_words(log: Path, began: int, code: int) -> str:
    """Returns what the process said last, which is one sentence where the error is ours."""
    lines = log.read_bytes()[began:].decode(errors="replace").splitlines()
    for line in reversed(lines):  # a live driver of the same run may write between
        if line.startswith(SAYS):
            return line.removeprefix(SAYS)
    last = next((line for line in reversed(lines) if line.strip()), "it said nothing")
    return f"the run's process ended with code {code}: {last}; more in {log}"


def _drive(run_id: str) -> None:
    """Drives the run as the order on standard input says; the process is the run's own."""
    from vitruvius import api
    from vitruvius.cli.live import Progress
    from vitruvius.memory.records import RunStatus

    order = json.load(sys.stdin)
    run = api.open(run_id, home=order["home"])
    with Progress() as progress:
        status = run.resume(on_event=progress, **order["settings"])
    sys.exit(0 if status == RunStatus.DONE else _INTERRUPTED)


if __name__ == "__main__":
    from vitruvius.__main__ import told

    with told():
        _drive(sys.argv[1])
