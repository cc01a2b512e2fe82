"""The command line's entry: errors become one sentence and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from vitruvius.cli.app import app
from vitruvius.errors import VitruviusError
from vitruvius.tools.safe_text import clean


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs the command line and exits; `arguments` default to those of the process."""
    with told():
        app(args=None if arguments is None else list(arguments), prog_name="vitruvius")
    sys.exit(0)


@contextmanager
def told() -> Iterator[None]:
    """Ends the process with a sentence where an error of ours leaves the block."""
    try:
        yield
    except VitruviusError as error:
        print(f"vitruvius: {clean(str(error), 2000)}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
