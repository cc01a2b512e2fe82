"""Raw rows of an experiment in one file: appended whole, read again when it goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def fill_in(
    path: Path, keys: Iterable[Row], measure: Callable[[Row], Row], *, names: tuple[str, ...]
) -> list[Row]:
    """Returns one row for each key, in their order; those that the file lacks are measured.

    Args:
        path: lines of JSON; a line that a kill cut off is made again.
        keys: what tells rows apart, under `names`.
        measure: returns what is to be added to a key.
        names: of the key's parts.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole, encoding="utf-8")
    known = {_key(row, names): row for row in map(json.loads, whole.splitlines())}
    rows = []
    with path.open("a", encoding="utf-8") as file:
        for key in keys:
            row = known.get(_key(key, names))
            if row is None:
                row = {**key, **measure(key)}
                file.write(json.dumps(row) + "\n")
                file.flush()
            rows.append(row)
    return rows


def grouped(rows: Iterable[Row]) -> dict[str, dict[int, Row]]:
    """Returns the rows by arm and seed."""
    by_arm: dict[str, dict[int, Row]] = {}
    for row in rows:
        by_arm.setdefault(row["arm"], {})[row["seed"]] = row
    return by_arm


def _key(row: Row, names: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(row[name] for name in names)
