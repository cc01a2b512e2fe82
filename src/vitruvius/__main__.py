"""The command line's entry: errors become one sentence and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

from vitruvius.cli.app import app
from vitruvius.cli.console import told


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs the command line and exits; `arguments` default to those of the process."""
    with told():
        app(args=None if arguments is None else list(arguments), prog_name="vitruvius")
    sys.exit(0)


if __name__ == "__main__":
    main()
