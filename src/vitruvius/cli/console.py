"""What commands share: their common options, the ledger, and how things are printed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vitruvius.errors import SAYS, ConfigError, VitruviusError
from vitruvius.tools.safe_text import clean

if TYPE_CHECKING:
    from vitruvius.memory.ledger.ledger import Ledger
    from vitruvius.memory.records import Run

WIDE = 200  # columns where nothing tells the width: pipes and files get unbroken rows

RunId = Annotated[
    str | None, typer.Argument(metavar="[RUN]", help="A run, like 261122-4f1a; default the latest.")
]
Home = Annotated[
    Path | None,
    typer.Option(help="Folder of ledger and runs; default VITRUVIUS_HOME or the data folder."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def home_of(home: Path | None) -> Path:
    """Returns the home that the flag, the settings or the platform name."""
    from vitruvius.settings import load_settings

    return load_settings({"home": home}).home


@contextmanager
def opened(home: Path | None) -> Iterator[Ledger]:
    """Yields the ledger of a home that has one.

    Raises:
        ConfigError: where there is none yet; reading never makes one.
    """
    from vitruvius.memory.ledger.ledger import Ledger

    folder = home_of(home)
    if not (folder / "ledger.db").exists():
        raise ConfigError(
            f"there is no ledger in {folder}; start with `vitruvius run`, or name another --home"
        )
    with Ledger.open(folder) as ledger:
        yield ledger


def run_of(ledger: Ledger, run_id: str | None) -> Run:
    """Returns the named run, or the latest.

    Raises:
        ConfigError: there is no such run, or none at all.
    """
    if run_id is not None:
        return ledger.runs.get(run_id)
    runs = ledger.runs.all()
    if not runs:
        raise ConfigError("there is no run yet; start one with `vitruvius run`")
    return max(runs, key=lambda run: (run.created, run.id))


def print_json(data: Any) -> None:
    """Prints data as indented JSON."""
    print(json.dumps(data, indent=2, ensure_ascii=False, default=str))


def print_table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Prints a table; cells are text, never markup."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for header in headers:
        table.add_column(header, overflow="fold")
    for row in rows:
        table.add_row(*(Text(clean(cell)) for cell in row))
    Console(width=None if sys.stdout.isatty() else WIDE).print(table)


def print_markdown(text: str) -> None:
    """Prints Markdown: laid out on a terminal, as it is elsewhere."""
    if not sys.stdout.isatty():
        print(text, end="")
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console().print(Markdown(text, hyperlinks=False))


def note(text: str) -> None:
    """Prints a remark for people on stderr, out of the way of what programs read."""
    print(clean(text, 2000), file=sys.stderr)  # a sentence may name what a model wrote


@contextmanager
def told() -> Iterator[None]:
    """Ends the process with a sentence where an error of ours leaves the block."""
    try:
        yield
    except VitruviusError as error:
        print(f"{SAYS}{clean(str(error), 2000)}", file=sys.stderr)
        sys.exit(error.exit_code)
