"""Which runs a run was forked from: they share trials, so they are one witness, not several."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, select

from vitruvius.memory.ledger import schema
from vitruvius.memory.records import Run

_PARENT = select(schema.runs.c.forked_from).where(schema.runs.c.id == bindparam("run"))


def lineage_of(connection: Connection, run_id: str) -> list[str]:
    """Returns the run, the one that it was forked from, and so on to the first."""
    found: list[str] = []
    name: str | None = run_id
    while name is not None:
        found.append(name)
        name = connection.scalar(_PARENT, {"run": name})
    return found


def roots(runs: Sequence[Run]) -> dict[str, str]:
    """Returns for each run the one from which it was forked in the end, itself where from none.

    Example:
        >>> roots([])
        {}
    """
    parents = {run.id: run.forked_from for run in runs}
    found = {}
    for run in runs:
        root = run.id
        while (parent := parents.get(root)) is not None:
            root = parent
        found[run.id] = root
    return found
