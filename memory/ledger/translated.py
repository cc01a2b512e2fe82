"""Principles of another space, put into the words of this one, as a run recalls them."""

from __future__ import annotations

import hashlib

from sqlalchemy import select
from sqlalchemy.dialects.sqlite import insert as insert_or

from vitruvius.memory.ledger import schema
from vitruvius.memory.ledger.part import LedgerPart
from vitruvius.memory.ledger.version_rows import holders, version_of, write_version
from vitruvius.memory.records import Adoption, PrincipleVersion
from vitruvius.spaces.rules import Rule

_versions = schema.versions.c


class CarriedRows(LedgerPart):
    """Versions that a run writes and recalls in one."""

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
        made = select(schema.versions).where(
            _versions.run_id == run_id, _versions.step == 0, _versions.edit_key == key
        )
        with self._database.write() as connection:
            row = connection.execute(made).one_or_none()
            if row is not None:
                return version_of(row)
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
                insert_or(schema.adoptions)
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
