"""The command line's entry: errors become one sentence and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

from vitruvius.cli.app import app
from vitruvius.errors import VitruviusError
from vitruvius.tools.safe_text import clean


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs the command line and exits; `arguments` default to those of the process."""
    try:
        app(args=None if arguments is None else list(arguments), prog_name="vitruvius")
    except VitruviusError as error:
        print(f"vitruvius: {clean(str(error), 2000)}", file=sys.stderr)
        sys.exit(error.exit_code)
    sys.exit(0)


if __name__ == "__main__":
    main()
