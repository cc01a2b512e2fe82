"""Architectures as the rows of a file write them, in a known space or in one made of the file."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vitruvius.errors import ConfigError, ToolError
from vitruvius.spaces.built_in import BUILT_IN
from vitruvius.spaces.cells.cell import Cell, from_string
from vitruvius.spaces.registry import built_in_spaces
from vitruvius.spaces.slots import SlotSpace
from vitruvius.spaces.space import MAX_FEATURES, Architecture, Choice, SearchSpace, Slot
from vitruvius.tasks.tables.row_files import RowFile, Value, as_number, as_text

PREFIX = "arch."
WHOLE = "arch"  # one column that writes whole architectures: JSON, or the space's own text
MAX_NAME = 80  # characters of a slot or a choice


@dataclass(frozen=True, kw_only=True, eq=False)
class Written:
    """The architectures of a file's rows, not in canonical form, and their space."""

    space: SearchSpace
    rows: tuple[Architecture, ...]
    columns: tuple[str, ...]  # of the file
    is_own: bool  # whether the space was made of the file


def read_architectures(
    file: RowFile,
    *,
    columns: Sequence[str] = (),
    space: SearchSpace | None = None,
    hint: SearchSpace | None = None,
    ref: str = "",
) -> Written:
    """Returns the architectures of a file's rows.

    Their columns are those named; else those that begin with `arch.`, or the single column `arch`;
    else those named like the slots of the space.

    Args:
        file: what was read.
        columns: names of the architecture columns, if they are told.
        space: the one whose architectures they are, if it is told.
        hint: one that they may be of: it is taken where its slots are the columns. Without
            a space, the built-in ones are tried next; what is left gets a space of its own.
        ref: the text from which a space of the file's own is made again.

    Raises:
        ConfigError: if no column holds architectures, or a row holds none of the space; the
            sentence names row and slot.
    """
    found = _columns(file, columns, [s for s in (space, hint) if s is not None])
    if found == (WHOLE,):
        known = space or _space_of_text(file, hint)
        return _written(known, [_whole(file, known, row) for row in range(len(file))], found)
    names = {column.removeprefix(PREFIX): column for column in found}
    if len(names) < len(found):
        raise ConfigError(f"{file.path.name} has two architecture columns of one name")
    if space is None and hint is not None and _slots(hint) == set(names):
        space = hint
    if space is None:
        space = _built_in(file, names)
    if space is None:
        own = _own_space(file, names, ref)
        return _written(own, _by_slots(file, own, names), found, is_own=True)
    missing = sorted(_slots(space) - set(names)) or sorted(set(names) - _slots(space))
    if missing:
        raise ConfigError(
            f"the space {space.name} has the slots {', '.join(sorted(_slots(space))) or '(none)'},"
            f" the architecture columns of {file.path.name} are {', '.join(sorted(names))}"
        )
    return _written(space, _by_slots(file, space, names), found)


def _columns(file: RowFile, told: Sequence[str], spaces: list[SearchSpace]) -> tuple[str, ...]:
    if told:
        for name in told:
            file.column(name)
        return tuple(told)
    marked = tuple(name for name in file.columns if name.startswith(PREFIX))
    if marked:
        return marked
    if WHOLE in file.columns:
        return (WHOLE,)
    for space in [*spaces, *built_in_spaces()]:
        if space.slots and _slots(space) <= set(file.columns):
            return tuple(slot.name for slot in space.slots)
    raise ConfigError(
        f"{file.path.name} does not say which columns are the architecture: let their names begin "
        f"with {PREFIX!r}, or give columns=a;b; it has {', '.join(file.columns)}"
    )


def _slots(space: SearchSpace) -> set[str]:
    return {slot.name for slot in space.slots}


def _written(
    space: SearchSpace,
    rows: Sequence[Architecture],
    columns: tuple[str, ...],
    *,
    is_own: bool = False,
) -> Written:
    return Written(space=space, rows=tuple(rows), columns=columns, is_own=is_own)


def _whole(file: RowFile, space: SearchSpace, row: int) -> Architecture:
    value = file.columns[WHOLE][row]
    if value is None:
        file.refuse(row, f"{WHOLE} is empty")
    try:
        return as_written(space, as_text(value))
    except ToolError as error:
        file.refuse(row, str(error))


def as_written(space: SearchSpace, text: str) -> Architecture:
    """Returns the architecture that JSON or the space's own text writes.

    Not in canonical form, where the space has slots and they are given as an object.

    Raises:
        ToolError: if it is none of the space.
    """
    spec: Any = text
    if text[:1] in ("{", "["):
        try:
            spec = json.loads(text)
        except json.JSONDecodeError as error:
            raise ToolError(
                f"expected an architecture as JSON, got {text!r:.80}: {error}"
            ) from None
    if isinstance(space, Cell) and isinstance(spec, str):
        return from_string(spec)
    legal = space.parse(spec)
    if space.slots and isinstance(spec, Mapping):
        return Architecture.of({s.name: _choice(s, spec[s.name]) for s in space.slots})
    return legal


def _space_of_text(file: RowFile, hint: SearchSpace | None) -> SearchSpace:
    """Returns the first space, the hint before the built-in ones, that reads the first row."""
    first = as_text(file.columns[WHOLE][0])
    for space in [*([hint] if hint is not None else []), *built_in_spaces()]:
        try:
            space.parse(json.loads(first) if first[:1] in ("{", "[") else first)
        except (ToolError, json.JSONDecodeError):
            continue
        return space
    raise ConfigError(
        f"row 1 of {file.path.name} has an architecture of no known space: {first!r:.80}; "
        "say whose with space=..."
    )


def _built_in(file: RowFile, names: Mapping[str, str]) -> SearchSpace | None:
    """Returns the built-in space that has these slots and all choices in the file."""
    for space in built_in_spaces():
        if _slots(space) == set(names) and all(
            _choice(slot, value) is not None
            for slot in space.slots
            for value in set(file.columns[names[slot.name]])
        ):
            return space
    return None


def _by_slots(file: RowFile, space: SearchSpace, names: Mapping[str, str]) -> list[Architecture]:
    """Returns each row's architecture from one column per slot."""
    chosen: list[list[str]] = []
    for slot in space.slots:
        known: dict[Value, str | None] = {}
        picked = []
        for row, value in enumerate(file.columns[names[slot.name]]):
            if value not in known or isinstance(value, bool):
                known[value] = _choice(slot, value)
            choice = known[value]
            if choice is None:
                got = "an empty cell" if value is None else repr(as_text(value))
                file.refuse(
                    row,
                    f"slot {slot.name} of space {space.name} must be one of "
                    f"{', '.join(slot.names[:12])}, got {got:.60}",
                )
            picked.append(choice)
        chosen.append(picked)
    slots = [slot.name for slot in space.slots]
    return [
        Architecture.of(dict(zip(slots, row, strict=True))) for row in zip(*chosen, strict=True)
    ]


def _choice(slot: Slot, value: Value) -> str | None:
    """Returns the name of the choice that a cell writes, by name or by number."""
    if value is None:
        return None
    text, number = as_text(value), as_number(value)
    for choice in slot.choices:
        if choice.name == text:
            return choice.name
    for choice in slot.choices:
        if choice.value is not None and choice.value == number:
            return choice.name
    return None


def _own_space(file: RowFile, names: Mapping[str, str], ref: str) -> SlotSpace:
    """Returns the space whose slots are the columns, and whose choices are the values seen."""
    for name in names:
        if not _is_name(name):
            raise ConfigError(
                f"column {names[name]!r:.60} of {file.path.name} must have a printable name of at "
                f"most {MAX_NAME} characters"
            )
    seen: dict[str, set[str]] = {}
    for slot, column in names.items():
        for row, value in enumerate(file.columns[column]):
            if value is None:
                file.refuse(row, f"the architecture column {column} is empty")
            if not _is_name(as_text(value)):
                file.refuse(row, f"{column} must be printable text, at most {MAX_NAME} characters")
        seen[slot] = {as_text(value) for value in file.columns[column]}
    texts = [text for values in seen.values() for text in values]
    shared = {text for text in texts if texts.count(text) > 1} if len(texts) < 1000 else set()
    slots = [_slot(name, values, shared) for name, values in seen.items()]
    stem = re.sub(r"[^\w.-]+", "-", file.path.stem)
    features = sum(1 if slot.is_ordinal else len(slot.choices) for slot in slots)
    traits = {str(c.traits["choice"]) for s in slots for c in s.choices if c.traits}
    return SlotSpace(
        f"table-{stem}" if stem in BUILT_IN else stem,
        slots,
        description=f"The architectures of {file.path.name}: its columns and the values seen.",
        shares=None if features + len(traits) <= MAX_FEATURES else (),
        ref=ref,
    )


def _is_name(text: str) -> bool:
    """Returns whether a text may stand in prompts and reports as the name of something."""
    return 0 < len(text) <= MAX_NAME and text.isprintable()


def _slot(name: str, values: set[str], shared: set[str]) -> Slot:
    """Returns an ordinal slot where every value is a number, else one of names.

    A name that stands at several slots has itself as a trait, so that its share is a feature.
    """
    numbers = {text: as_number(text) for text in values}
    if all(number is not None and math.isfinite(number) for number in numbers.values()):
        by_number = {float(n): t for t, n in sorted(numbers.items(), reverse=True) if n is not None}
        choices = [Choice(name=text, value=number) for number, text in sorted(by_number.items())]
        return Slot(name=name, choices=tuple(choices))
    return Slot(
        name=name,
        choices=tuple(
            Choice(name=text, traits={"choice": text} if text in shared else {})
            for text in sorted(values)
        ),
    )
