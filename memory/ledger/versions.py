"""Principle versions as rows: written once, never changed, found by run or over all runs."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select
from sqlalchemy.dialects.sqlite import insert as insert_or

from vitruvius.errors import ToolError
from vitruvius.memory.index.embedding import ENCODER, embed, text_of
from vitruvius.memory.ledger import schema
from vitruvius.memory.ledger.lineage import lineage_of
from vitruvius.memory.ledger.part import LedgerPart
from vitruvius.memory.ledger.version_rows import (
    SELECT,
    current_of_all,
    current_of_run,
    in_force,
    one_version,
    rows_of_run,
    split_name,
    version_of,
)
from vitruvius.memory.records import Adoption, PrincipleVersion

_versions, _adoptions = schema.versions.c, schema.adoptions.c


class VersionRows(LedgerPart):
    """Reads of the `versions` table, and what a run recalled of it."""

    def versions(self, principle: int | str) -> list[PrincipleVersion]:
        """Returns a principle's whole history, oldest first; `principle` is 7 or "P7".

        Raises:
            ToolError: where there is no such principle.
        """
        number, _ = split_name(principle)
        query = SELECT.where(_versions.principle == number).order_by(_versions.version)
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
            keys = {row.rule_key for row in rows_of_run(connection, run_id)}
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
        """Returns what the run recalled, in order of name; what a fork shares is its own."""
        query = (
            select(schema.adoptions, _versions.run_id.label("by"), _versions.edit)
            .join_from(schema.adoptions, schema.versions)
            .where(_adoptions.run_id == run_id)
            .order_by(_adoptions.principle, _adoptions.version)
        )
        with self._database.read() as connection:
            forked_from = lineage_of(connection, run_id)[1:]
            return [
                Adoption(
                    run_id=row.run_id,
                    version=f"P{row.principle}.{row.version}",
                    trust=row.trust,
                    source_effect=row.source_effect,
                    similarity=row.similarity,
                )
                for row in connection.execute(query)
                if row.by not in forked_from or row.edit == "carry"
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
        query = SELECT.add_columns(schema.vectors.c.vector, schema.vectors.c.encoder)
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
