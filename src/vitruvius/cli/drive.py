"""What a detached process runs: it drives one run, as the order on its standard input says.

`vitruvius.run.detached` starts it by its name. Nothing imports it.
"""

from __future__ import annotations

import json
import sys

from vitruvius import api
from vitruvius.cli.console import told
from vitruvius.cli.live import TerminalProgress
from vitruvius.errors import INTERRUPTED
from vitruvius.memory.records import RunStatus


def drive(run_id: str) -> None:
    """Drives the run and ends the process with its exit code."""
    order = json.load(sys.stdin)
    run = api.open(run_id, home=order["home"])
    with TerminalProgress() as progress:
        status = run.resume(on_event=progress, **order["settings"])
    sys.exit(0 if status == RunStatus.DONE else INTERRUPTED)


if __name__ == "__main__":
    with told():
        drive(sys.argv[1])
