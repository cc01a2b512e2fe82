"""Principle versions as rows: written once, never changed, found by run or over all runs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, Select, func, insert, select
from sqlalchemy.dialects.sqlite import insert as insert_or

from vitruvius.errors import ToolError
from vitruvius.memory import schema
from vitruvius.memory.embedding import ENCODER, embed, text_of
from vitruvius.memory.ledger_part import LedgerPart
from vitruvius.memory.records import Adoption, PrincipleVersion
from vitruvius.spaces.rules import Rule

_versions, _adoptions = schema.versions.c, schema.adoptions.c
_HIDDEN = ("rule_key", "edit_key")
_SELECT: Select[Any] = select(*(column for column in _versions if column.name not in _HIDDEN))
_NAME = re.compile(r"P?(\d+)(?:\.(\d+))?")


class VersionRows(LedgerPart):
    """Reads of the `versions` table, and what a run recalled of it."""

    def versions(self, principle: int | str) -> list[PrincipleVersion]:
        """Returns a principle's whole history, oldest first; `principle` is 7 or "P7".

        Raises:
            ToolError: where there is no such principle.
        """
        number, _ = split_name(principle)
        query = _SELECT.where(_versions.principle == number).order_by(_versions.version)
        with self._database.read() as connection:
            found = [version_of(row) for row in connection.execute(query)]
        if not found:
            raise ToolError(f"there is no principle P{number}")
        return found

    def version(self, name: str) -> PrincipleVersion:
        """Returns the version of this name, like P7.3.

        Raises:
            ToolError: where there is no such version.
        """
        with self._database.read() as connection:
            return one_version(connection, name)

    def current(self, run_id: str) -> list[PrincipleVersion]:
        """Returns what a run works with: per principle the newest version it wrote or recalled.

        Principles that the run has retired or merged into others are left out.
        """
        with self._database.read() as connection:
            return in_force(current_of_run(connection, run_id))

    def newest(self, run_id: str) -> list[PrincipleVersion]:
        """Returns what `current` does and the versions by which the run gave principles up."""
        with self._database.read() as connection:
            rows = current_of_run(connection, run_id)
            return [version_of(rows[number]) for number in sorted(rows)]

    def all_current(self) -> list[PrincipleVersion]:
        """Returns the newest version of each principle over all runs, retired ones left out.

        A run on another task than the one a principle was learned on retires it for itself only.
        """
        with self._database.read() as connection:
            return in_force(current_of_all(connection))

    def proposed_ever(self, run_id: str) -> int:
        """Returns how many different rules this run wrote or recalled, retired ones included."""
        with self._database.read() as connection:
            keys = {row.rule_key for row in _rows_of_run(connection, run_id)}
        return len(keys)

    def adopt(
        self,
        run_id: str,
        version: str,
        trust: float,
        source_effect: float | None,
        similarity: float,
    ) -> None:
        """Brings a version of an earlier run into this one; the first recall of it stays.

        Raises:
            ToolError: where there is no such version.
        """
        with self._database.write() as connection:
            found = one_version(connection, version)
            connection.execute(
                insert_or(schema.adoptions)
                .values(
                    run_id=run_id,
                    principle=found.principle,
                    version=found.version,
                    trust=trust,
                    source_effect=source_effect,
                    similarity=similarity,
                )
                .on_conflict_do_nothing()
            )

    def adopted(self, run_id: str) -> list[Adoption]:
        """Returns what the run recalled, in order of name."""
        query = (
            select(schema.adoptions)
            .where(_adoptions.run_id == run_id)
            .order_by(_adoptions.principle, _adoptions.version)
        )
        with self._database.read() as connection:
            return [
                Adoption(
                    run_id=row.run_id,
                    version=f"P{row.principle}.{row.version}",
                    trust=row.trust,
                    source_effect=row.source_effect,
                    similarity=row.similarity,
                )
                for row in connection.execute(query)
            ]

    def count_versions(self) -> int:
        """Returns how many versions there are over all principles and runs."""
        with self._database.read() as connection:
            return connection.scalar(select(func.count()).select_from(schema.versions)) or 0

    def vectors(self, names: Iterable[str] | None = None) -> dict[str, NDArray[np.float32]]:
        """Returns unit vectors by version name: of all versions, or of those named.

        One that another release's encoder made is made anew.
        """
        wanted = None if names is None else set(names)
        query = _SELECT.add_columns(schema.vectors.c.vector, schema.vectors.c.encoder)
        query = query.join_from(schema.versions, schema.vectors)
        if wanted is not None:
            query = query.where(_versions.principle.in_({split_name(name)[0] for name in wanted}))
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(_versions.principle, _versions.version)).all()
        return {
            name: np.frombuffer(row.vector, dtype="<f4")
            if row.encoder == ENCODER
            else embed([text_of(version_of(row))])[0]
            for row in rows
            if (name := f"P{row.principle}.{row.version}") and (wanted is None or name in wanted)
        }


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
    query = _SELECT.where(_versions.principle == principle, _versions.version == version)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise ToolError(f"there is no principle version {name}")
    return version_of(row)


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
    for row in sorted(_rows_of_run(connection, run_id), key=lambda row: row.version):
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
    query = select(_versions.principle).where(
        _versions.rule_key == rule.key, _versions.space_name == space_name
    )
    return sorted(set(connection.scalars(query)))


def write_version(
    connection: Connection, *, principle: int | None, edit_key: str | None, **fields: Any
) -> PrincipleVersion:
    """Writes the next version of a principle, or the first of a new one, with its vector."""
    if principle is None:
        principle = (connection.scalar(select(func.max(_versions.principle))) or 0) + 1
    last = select(func.max(_versions.version)).where(_versions.principle == principle)
    version = PrincipleVersion(
        principle=principle,
        version=(connection.scalar(last) or 0) + 1,
        created=schema.now(),
        **fields,
    )
    row = {name: getattr(version, name) for name in PrincipleVersion.__dataclass_fields__}
    row["rule"] = version.rule.model_dump(mode="json", exclude_none=True)
    row["parents"] = list(version.parents)
    connection.execute(
        insert(schema.versions).values(**row, rule_key=version.rule.key, edit_key=edit_key)
    )
    _write_vector(connection, version)
    return version


def _rows_of_run(connection: Connection, run_id: str) -> list[Row[Any]]:
    written = select(schema.versions).where(_versions.run_id == run_id)
    recalled = (
        select(schema.versions)
        .join_from(
            schema.adoptions,
            schema.versions,
            (_adoptions.principle == _versions.principle)
            & (_adoptions.version == _versions.version),
        )
        .where(_adoptions.run_id == run_id)
    )
    return [*connection.execute(written), *connection.execute(recalled)]


def _write_vector(connection: Connection, version: PrincipleVersion) -> None:
    vector = embed([text_of(version)])[0].astype("<f4").tobytes()
    connection.execute(
        insert(schema.vectors).values(
            principle=version.principle, version=version.version, encoder=ENCODER, vector=vector
        )
    )
