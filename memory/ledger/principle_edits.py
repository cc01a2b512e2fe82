"""Edits of principles: typed operations that only ever add immutable versions."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from vitruvius.errors import ToolError
from vitruvius.memory.edits import Add, Edit, Merge, Narrow, Retire, Revise
from vitruvius.memory.ledger import schema
from vitruvius.memory.ledger.narrowing import is_narrower
from vitruvius.memory.ledger.version_rows import (
    current_of_all,
    current_of_run,
    holders,
    split_name,
    version_of,
    write_version,
)
from vitruvius.memory.ledger.versions import VersionRows
from vitruvius.memory.records import PrincipleVersion
from vitruvius.spaces.rules import Rule


class PrincipleRows(VersionRows):
    """The `versions` table: what is believed, and what was."""

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
        with self._database.write() as connection:
            made = _made_before(connection, run_id, step, key)
            if made is not None:
                return made
            write = _Writer(
                connection,
                run_id,
                {
                    "run_id": run_id,
                    "task_name": task_name,
                    "space_name": space_name,
                    "step": step,
                    "author": author,
                    "edit": edit.edit,
                    "rationale": self._one_line(edit.rationale),
                },
                key,
            )
            if isinstance(edit, Retire):
                return write.retire(edit.principle)
            statement = self._one_line(edit.statement)
            if isinstance(edit, Add):
                return write.add(statement, edit.rule)
            if isinstance(edit, Merge):
                return write.merge(edit.principles, statement, edit.rule)
            return write.rewrite(edit, statement)

    def _one_line(self, text: str) -> str:
        line: str = self._without_keys(" ".join(text.split()))
        return line


def _made_before(
    connection: Connection, run_id: str | None, step: int, key: str
) -> PrincipleVersion | None:
    if run_id is None:
        return None
    columns = schema.versions.c
    row = connection.execute(
        select(schema.versions).where(
            columns.run_id == run_id, columns.step == step, columns.edit_key == key
        )
    ).one_or_none()
    return None if row is None else version_of(row)


class _Writer:
    """One edit under way: what is in view, and what every version it writes has in common."""

    def __init__(
        self, connection: Connection, run_id: str | None, common: dict[str, Any], key: str
    ) -> None:
        self._connection = connection
        self._common = common
        self._key = key
        self._newest: dict[int, Row[Any]] = (
            current_of_all(connection) if run_id is None else current_of_run(connection, run_id)
        )

    def add(self, statement: str, rule: Rule) -> PrincipleVersion:
        self._refuse_held(rule)
        found = holders(self._connection, rule, self._common["space_name"])
        others = current_of_all(self._connection, found)
        for number, row in others.items():
            is_in_view = number in self._newest
            if not is_in_view and row.edit != "retire" and row.rule_key == rule.key:
                return self._write(number, statement, rule, (_name(row),))
        return self._write(None, statement, rule, ())

    def rewrite(self, edit: Revise | Narrow, statement: str) -> PrincipleVersion:
        old = self._find(edit.principle)
        rule = Rule.model_validate(old.rule)
        if old.rule_key == edit.rule.key and old.statement == statement:
            raise ToolError(f"{edit.principle} already says exactly this; nothing was changed")
        if isinstance(edit, Narrow) and not is_narrower(edit.rule, rule):
            raise ToolError(
                f"this does not narrow {edit.principle}: keep its stance and all its conditions, "
                "and add one or tighten one; to say something else, use revise"
            )
        self._refuse_held(edit.rule, but=(old.principle,))
        return self._write(old.principle, statement, edit.rule, (_name(old),))

    def merge(self, names: Sequence[str], statement: str, rule: Rule) -> PrincipleVersion:
        olds = [self._find(name) for name in dict.fromkeys(names)]
        if len(olds) < 2:
            raise ToolError("merge needs at least two different principles")
        self._refuse_held(rule, but=[old.principle for old in olds])
        merged = self._write(None, statement, rule, tuple(_name(old) for old in olds))
        for old in olds:
            self._end(old, f"merged into P{merged.principle}: {self._common['rationale']}", None)
        return merged

    def retire(self, name: str) -> PrincipleVersion:
        return self._end(self._find(name), self._common["rationale"], self._key)

    def _end(self, old: Row[Any], rationale: str, key: str | None) -> PrincipleVersion:
        return write_version(
            self._connection,
            principle=old.principle,
            edit_key=key,
            statement=old.statement,
            rule=Rule.model_validate(old.rule),
            parents=(_name(old),),
            **{
                **self._common,
                "edit": "retire",
                "rationale": rationale,
                "space_name": old.space_name,
            },
        )

    def _write(
        self, principle: int | None, statement: str, rule: Rule, parents: tuple[str, ...]
    ) -> PrincipleVersion:
        return write_version(
            self._connection,
            principle=principle,
            edit_key=self._key,
            statement=statement,
            rule=rule,
            parents=parents,
            **self._common,
        )

    def _find(self, name: str) -> Row[Any]:
        number, _ = split_name(name)
        row = self._newest.get(number)
        if row is not None and row.edit != "retire":
            return row
        if row is not None:
            raise ToolError(f"{name} was retired at step {row.step}; add a new principle instead")
        known = [f"P{n}" for n in sorted(self._newest) if self._newest[n].edit != "retire"]
        raise ToolError(f"there is no principle {name} here; known: {', '.join(known) or 'none'}")

    def _refuse_held(self, rule: Rule, but: Sequence[int] = ()) -> None:
        for number, row in sorted(self._newest.items()):
            is_held = row.rule_key == rule.key and row.space_name == self._common["space_name"]
            if is_held and row.edit != "retire" and number not in but:
                raise ToolError(
                    f"P{number} already holds this rule; revise or narrow P{number} instead"
                )


def _name(row: Row[Any]) -> str:
    return f"P{row.principle}.{row.version}"
