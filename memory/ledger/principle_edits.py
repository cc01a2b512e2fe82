"""Edits of principles: typed operations that only ever add immutable versions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, assert_never

from sqlalchemy import Connection, Row, bindparam, select

from vitruvius.errors import ToolError
from vitruvius.memory.edits import Add, Edit, Merge, Narrow, Retire, Revise
from vitruvius.memory.ledger import schema
from vitruvius.memory.ledger.versions import (
    current_of_all,
    current_of_run,
    holders,
    split_name,
    version_of,
    write_version,
)
from vitruvius.memory.records import PrincipleVersion
from vitruvius.spaces.rules import Condition, RangeCondition, Rule, SlotCondition

_versions = schema.versions.c
_MADE = select(schema.versions).where(
    _versions.run_id == bindparam("of_run"),
    _versions.step == bindparam("at"),
    _versions.edit_key == bindparam("key"),
)


def made_before(
    connection: Connection, run_id: str | None, step: int, key: str
) -> PrincipleVersion | None:
    """Returns the version that an edit of this key wrote, if it was applied before."""
    if run_id is None:
        return None
    row = connection.execute(_MADE, {"of_run": run_id, "at": step, "key": key}).one_or_none()
    return None if row is None else version_of(row)


class EditWriter:
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

    def apply(self, edit: Edit) -> PrincipleVersion:
        """Writes what the edit asks for and returns the version that it made.

        Raises:
            ToolError: says how to mend the edit.
        """
        match edit:
            case Add():
                return self._add(edit.statement, edit.rule)
            case Revise() | Narrow():
                return self._rewrite(edit)
            case Merge():
                return self._merge(edit)
            case Retire():
                return self._end(self._find(edit.principle), edit.rationale, self._key)
            case _:
                assert_never(edit)

    def _add(self, statement: str, rule: Rule) -> PrincipleVersion:
        self._refuse_held(rule)
        found = holders(self._connection, rule, self._common["space_name"])
        others = current_of_all(self._connection, found)
        for number, row in others.items():
            is_in_view = number in self._newest
            if not is_in_view and row.edit != "retire" and row.rule_key == rule.key:
                return self._write(number, statement, rule, (_name(row),))
        return self._write(None, statement, rule, ())

    def _rewrite(self, edit: Revise | Narrow) -> PrincipleVersion:
        old = self._find(edit.principle)
        rule = Rule.model_validate(old.rule)
        if old.rule_key == edit.rule.key and old.statement == edit.statement:
            raise ToolError(f"{edit.principle} already says exactly this; nothing was changed")
        if isinstance(edit, Narrow) and not is_narrower(edit.rule, rule):
            raise ToolError(
                f"this does not narrow {edit.principle}: keep its stance and all its conditions, "
                "and add one or tighten one; to say something else, use revise"
            )
        self._refuse_held(edit.rule, but=(old.principle,))
        return self._write(old.principle, edit.statement, edit.rule, (_name(old),))

    def _merge(self, edit: Merge) -> PrincipleVersion:
        olds = [self._find(name) for name in dict.fromkeys(edit.principles)]
        if len(olds) < 2:
            raise ToolError("merge needs at least two different principles")
        self._refuse_held(edit.rule, but=[old.principle for old in olds])
        merged = self._write(None, edit.statement, edit.rule, tuple(_name(old) for old in olds))
        for old in olds:
            self._end(old, f"merged into P{merged.principle}: {edit.rationale}", None)
        return merged

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


def is_narrower(new: Rule, old: Rule) -> bool:
    """Returns whether `new` is `old` under further conditions.

    It is when both take the same stance and each condition of the old rule follows from one of
    the new rule's: the same, fewer choices at the slot, or tighter bounds. Then what the new
    conditions describe is a part of what the old ones describe in every space, whichever
    architectures were sampled; a rule that happens to hold for fewer of a sample is refused.
    """
    if new.stance != old.stance or new.key == old.key:
        return False
    return all(any(_implies(one, other) for one in new.all) for other in old.all)


def _implies(one: Condition, other: Condition) -> bool:
    if isinstance(one, SlotCondition) and isinstance(other, SlotCondition):
        return one.slot == other.slot and set(one.choices) <= set(other.choices)
    if isinstance(one, RangeCondition) and isinstance(other, RangeCondition):
        return (
            one.feature == other.feature and _low(one) >= _low(other) and _high(one) <= _high(other)
        )
    return one == other


def _low(condition: RangeCondition) -> float:
    return -math.inf if condition.at_least is None else condition.at_least


def _high(condition: RangeCondition) -> float:
    return math.inf if condition.at_most is None else condition.at_most
