"""Versions of principles on a connection: read as values, written with their vectors."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, func, insert, select

from vitruvius.errors import ToolError
from vitruvius.memory.index.embedding import ENCODER, embed, text_of
from vitruvius.memory.ledger import schema
from vitruvius.memory.records import DecisionStatus, PrincipleVersion
from vitruvius.spaces.rules import Rule

_versions, _adoptions = schema.versions.c, schema.adoptions.c
_HIDDEN = ("rule_key", "edit_key", "at_step")
_NAME = re.compile(r"P?(\d+)(?:\.(\d+))?")
_WRITTEN = select(schema.versions).where(_versions.run_id == bindparam("run"))
_RECALLED = (
    select(schema.versions)
    .join_from(
        schema.adoptions,
        schema.versions,
        (_adoptions.principle == _versions.principle) & (_adoptions.version == _versions.version),
    )
    .where(_adoptions.run_id == bindparam("run"))
)
_HOLDERS = select(_versions.principle).where(
    _versions.rule_key == bindparam("rule"), _versions.space_name == bindparam("space")
)
_LAST_PRINCIPLE = select(func.max(_versions.principle))
_LAST_VERSION = select(func.max(_versions.version)).where(_versions.principle == bindparam("of"))
_ADD = insert(schema.versions)
_over = select(func.count()).where(
    schema.decisions.c.run_id == bindparam("of_run"),
    schema.decisions.c.was_accepted,
    schema.decisions.c.status != DecisionStatus.ACCEPTED,
)
SELECT: Select[Any] = select(*(column for column in _versions if column.name not in _HIDDEN))


def split_name(name: int | str) -> tuple[int, int | None]:
    """Returns (7, 3) for "P7.3", (7, None) for "P7" or 7.

    Raises:
        ToolError: where it is neither.
    """
    found = _NAME.fullmatch(str(name).strip())
    if found is None:
        raise ToolError(f"a principle is named like P7, a version like P7.3, not {name!r}")
    return int(found[1]), int(found[2]) if found[2] else None


def one_version(connection: Connection, name: str) -> PrincipleVersion:
    """Returns the version of this name; raises ToolError where there is none."""
    principle, version = split_name(name)
    query = SELECT.where(_versions.principle == principle, _versions.version == version)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise ToolError(f"there is no principle version {name}")
    return version_of(row)


def history_of(connection: Connection, principle: int) -> list[PrincipleVersion]:
    """Returns all versions of a principle, oldest first; none where there is no such principle."""
    query = SELECT.where(_versions.principle == principle).order_by(_versions.version)
    return [version_of(row) for row in connection.execute(query)]


def version_of(row: Row[Any]) -> PrincipleVersion:
    """Returns a row as a value."""
    names = PrincipleVersion.__dataclass_fields__
    fields = {name: value for name, value in row._mapping.items() if name in names}
    fields["rule"] = Rule.model_validate(row.rule)
    fields["parents"] = tuple(row.parents)
    return PrincipleVersion(**fields)


def in_force(newest: dict[int, Row[Any]]) -> list[PrincipleVersion]:
    """Returns versions in order of principle; those that end one are left out."""
    return [version_of(newest[n]) for n in sorted(newest) if newest[n].edit != "retire"]


def current_of_run(connection: Connection, run_id: str) -> dict[int, Row[Any]]:
    """Returns the newest row per principle that a run wrote or recalled."""
    newest: dict[int, Row[Any]] = {}
    for row in sorted(rows_of_run(connection, run_id), key=lambda row: row.version):
        newest[row.principle] = row
    return newest


def current_of_all(
    connection: Connection, principles: Iterable[int] | None = None
) -> dict[int, Row[Any]]:
    """Returns the newest row per principle over all runs; of these principles only, if given."""
    query = select(schema.versions).order_by(_versions.principle, _versions.version)
    if principles is not None:
        query = query.where(_versions.principle.in_(list(principles)))
    newest: dict[int, Row[Any]] = {}
    for row in connection.execute(query):
        before = newest.get(row.principle)
        if row.edit == "retire" and before is not None and before.task_name != row.task_name:
            continue
        newest[row.principle] = row
    return newest


def holders(connection: Connection, rule: Rule, space_name: str) -> list[int]:
    """Returns the principles that hold, or ever held, this rule in this space."""
    given = {"rule": rule.key, "space": space_name}
    return sorted(set(connection.scalars(_HOLDERS, given)))


def write_version(
    connection: Connection, *, principle: int | None, edit_key: str | None, **fields: Any
) -> PrincipleVersion:
    """Writes the next version of a principle, or the first of a new one, with its vector."""
    if principle is None:
        principle = (connection.scalar(_LAST_PRINCIPLE) or 0) + 1
    version = PrincipleVersion(
        principle=principle,
        version=(connection.scalar(_LAST_VERSION, {"of": principle}) or 0) + 1,
        created=schema.now(),
        **fields,
    )
    row = {name: getattr(version, name) for name in PrincipleVersion.__dataclass_fields__}
    row["rule"] = version.rule.model_dump(mode="json", exclude_none=True)
    row["parents"] = list(version.parents)
    hidden = {
        "rule_key": version.rule.key,
        "edit_key": edit_key,
        "at_step": decisions_over(connection, version.run_id),
    }
    connection.execute(_ADD, row | hidden)
    _write_vector(connection, version)
    return version


def decisions_over(connection: Connection, run_id: str | None) -> int | None:
    """Returns how many decisions of a run are carried out or refused: the clock of its facts."""
    return None if run_id is None else connection.scalar(_over, {"of_run": run_id})


def rows_of_run(connection: Connection, run_id: str) -> list[Row[Any]]:
    """Returns the rows that a run wrote or recalled."""
    given = {"run": run_id}
    return [*connection.execute(_WRITTEN, given), *connection.execute(_RECALLED, given)]


def _write_vector(connection: Connection, version: PrincipleVersion) -> None:
    vector = embed([text_of(version)])[0].astype("<f4").tobytes()
    connection.execute(
        insert(schema.vectors).values(
            principle=version.principle, version=version.version, encoder=ENCODER, vector=vector
        )
    )
