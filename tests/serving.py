"""The board's own command, served for as long as a test needs it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SRC = Path(__file__).parents[1] / "src"


@contextmanager
def serve(home: Path) -> Iterator[str]:
    """Serves a board with the real command for as long as the context lasts."""
    command = [sys.executable, "-m", "vitruvius", "board", "--port", "0", "--home", str(home)]
    environment = {**os.environ, "PYTHONPATH": str(SRC)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[0]
        process.terminate()
