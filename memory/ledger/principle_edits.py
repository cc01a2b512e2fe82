"""Versions of principles, written once and never changed, and the edits that add them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any, assert_never

from sqlalchemy import Connection, Row, Select, bindparam, func, insert, select

from vitruvius.errors import ToolError
from vitruvius.memory.edits import Add, Edit, Merge, Narrow, Retire, Revise
from vitruvius.memory.index.embedding import ENCODER, embed, text_of
from vitruvius.memory.ledger import schema
from vitruvius.memory.records import DecisionStatus, PrincipleVersion
from vitruvius.spaces.rules import Condition, RangeCondition, Rule, SlotCondition

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
