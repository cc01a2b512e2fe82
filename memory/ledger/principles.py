"""Principles: versions that never change, what runs recalled, edits, and the way to other homes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select

from vitruvius.errors import ToolError
from vitruvius.memory.edits import Edit
from vitruvius.memory.index.embedding import ENCODER, embed, text_of
from vitruvius.memory.ledger import schema
from vitruvius.memory.ledger.database import Database
from vitruvius.memory.ledger.exchange import export_principles, import_principles, read_principles
from vitruvius.memory.ledger.forks import lineage_of
from vitruvius.memory.ledger.principle_edits import (
    SELECT,
    EditWriter,
    current_of_all,
    current_of_run,
    history_of,
    holders,
    in_force,
    made_before,
    one_version,
    rows_of_run,
    split_name,
    version_of,
    write_version,
)
from vitruvius.memory.records import Adoption, PrincipleVersion
from vitruvius.spaces.rules import Rule

_versions, _adoptions = schema.versions.c, schema.adoptions.c


class Principles:
    """The `versions`, `vectors` and `adoptions` tables: what is believed, and what was."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def versions(self, principle: int | str) -> list[PrincipleVersion]:
        """Returns a principle's whole history, oldest first; `principle` is 7 or "P7".

        Raises:
            ToolError: where there is no such principle.
        """
        number, _ = split_name(principle)
        with self._database.read() as connection:
            found = history_of(connection, number)
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
                schema.insert_or(schema.adoptions)
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

    def apply_edit(
        self,
        run_id: str | None,
        task_name: str,
        space_name: str,
        step: int,
        author: str,
        edit: Edit,
        *,
        ordinal: int = 0,
    ) -> PrincipleVersion:
        """Applies an edit and returns the version that it made.

        The same edit at the same step and `ordinal` (its place in a batch) of a run is applied
        once: a replay gets the version that the first call made. An `add` whose rule a principle
        of another run holds becomes that principle's next version, found again; without a run (a
        person's edit) all principles are in view.

        Raises:
            ToolError: says how to mend the edit: the principle is unknown or retired, another one
                holds the rule, nothing would change, or `narrow` does not narrow.
        """
        text = f"{space_name} {ordinal} {edit.model_dump_json()}"
        key = hashlib.sha256(text.encode()).hexdigest()[:32]
        told = edit.model_copy(
            update={
                name: self._one_line(getattr(edit, name))
                for name in ("statement", "rationale")
                if hasattr(edit, name)
            }
        )
        common = {
            "run_id": run_id,
            "task_name": task_name,
            "space_name": space_name,
            "step": step,
            "author": author,
            "edit": edit.edit,
            "rationale": told.rationale,
        }
        with self._database.write() as connection:
            made = made_before(connection, run_id, step, key)
            return made or EditWriter(connection, run_id, common, key).apply(told)

    def carry(
        self,
        source: PrincipleVersion,
        rule: Rule,
        adoption: Adoption,
        *,
        space_name: str,
        task_name: str,
    ) -> PrincipleVersion:
        """Returns the version that says in another space what `source` says; written once a run.

        Args:
            source: the version that is carried.
            rule: what it says in the features of the new space.
            adoption: by which run, and with what trust; its `version` is that of the source.
            space_name: of the new space.
            task_name: of the run.
        """
        run_id = adoption.run_id
        key = hashlib.sha256(f"carry {source.name}".encode()).hexdigest()[:32]
        with self._database.write() as connection:
            made = made_before(connection, run_id, 0, key)
            if made is not None:
                return made
            held = holders(connection, rule, space_name)
            version = write_version(
                connection,
                principle=held[0] if held else None,
                edit_key=key,
                statement=source.statement,
                rule=rule,
                space_name=space_name,
                task_name=task_name,
                author=source.author,
                run_id=run_id,
                step=0,
                edit="carry",
                rationale=f"said by {source.name} of space {source.space_name}",
                parents=(source.name,),
            )
            connection.execute(
                schema.insert_or(schema.adoptions)
                .values(
                    run_id=run_id,
                    principle=version.principle,
                    version=version.version,
                    trust=adoption.trust,
                    source_effect=adoption.source_effect,
                    similarity=adoption.similarity,
                )
                .on_conflict_do_nothing()
            )
            return version

    def export(self, ids: Iterable[int | str] | None = None) -> dict[str, Any]:
        """Returns current principles, all or those named, as JSON-able data.

        With each go its earlier versions and what every run last measured of them; the trials
        stay where they are.

        Raises:
            ToolError: names the first id that is unknown or retired.
        """
        with self._database.read() as connection:
            file = export_principles(connection, ids)
        return file.model_dump(mode="json", exclude_none=True)

    def take_in(self, data: Any) -> list[PrincipleVersion]:
        """Takes in exported principles, all or none; returns the new ones, as they stand.

        A rule that a principle of the same space holds already is passed over. Evidence goes to
        runs of kind `import`, one for each run of the other home: it has no trials here, and
        whoever recalls the principle trusts it the less for that.

        Raises:
            ToolError: names the first part of the data that does not fit the format.
        """
        file = read_principles(data)
        with self._database.write() as connection:
            return import_principles(connection, file, self._database.without_keys)

    def _one_line(self, text: str) -> str:
        line: str = self._database.without_keys(" ".join(text.split()))
        return line
