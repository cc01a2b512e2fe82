"""Principles as a file that another home can take in. What it says is data, never trusted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from vitruvius.errors import ToolError
from vitruvius.memory.principles import PrincipleRows
from vitruvius.memory.records import PrincipleVersion
from vitruvius.memory.version_rows import (
    current_of_all,
    holders,
    split_name,
    write_version,
)
from vitruvius.spaces.rules import Rule

# one line, so that no text can pass for more than one line of a prompt or a report
_OneLine = AfterValidator(lambda text: " ".join(text.split()))
Name = Annotated[str, Field(min_length=1, max_length=200), _OneLine]
Text = Annotated[str, Field(min_length=3, max_length=600), _OneLine]


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ExportedPrinciple(_Data):
    """One principle as it stood, without its evidence: that belongs to the runs that have it."""

    name: Name  # in the home it came from
    statement: Text
    rule: Rule
    space: Name
    task: Name
    author: Name
    rationale: Text


class PrincipleFile(_Data):
    """The file format."""

    format: Literal["vitruvius-principles"] = "vitruvius-principles"
    version: Literal[1] = 1
    principles: Annotated[tuple[ExportedPrinciple, ...], Field(max_length=10_000)]


class ExchangeRows(PrincipleRows):
    """Principles in and out."""

    def export_principles(self, ids: Iterable[int | str] | None = None) -> dict[str, Any]:
        """Returns current principles, all or those named, as JSON-able data.

        Raises:
            ToolError: names the first id that is unknown or retired.
        """
        current = {version.principle: version for version in self.all_current()}
        numbers = list(current) if ids is None else [split_name(name)[0] for name in ids]
        for number in numbers:
            if number not in current:
                raise ToolError(f"there is no principle P{number}, or it was retired")
        file = PrincipleFile(principles=tuple(_exported(current[number]) for number in numbers))
        return file.model_dump(mode="json", exclude_none=True)

    def import_principles(self, data: Any) -> list[PrincipleVersion]:
        """Takes in exported principles, all or none; returns the new ones.

        A rule that a principle of the same space holds already is passed over.

        Raises:
            ToolError: names the first part of the data that does not fit the format.
        """
        try:
            file = PrincipleFile.model_validate(data)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "the file"
            raise ToolError(f"not a file of principles: {place}: {first['msg']}") from error
        with self._database.write() as connection:
            made = []
            for one in file.principles:
                held = current_of_all(connection, holders(connection, one.rule, one.space))
                if any(r.edit != "retire" and r.rule_key == one.rule.key for r in held.values()):
                    continue
                made.append(
                    write_version(
                        connection,
                        principle=None,
                        edit_key=None,
                        run_id=None,
                        step=0,
                        edit="import",
                        parents=(),
                        statement=self._without_keys(one.statement),
                        rule=one.rule,
                        space_name=one.space,
                        task_name=one.task,
                        author=one.author,
                        rationale=self._without_keys(one.rationale),
                    )
                )
        return made


def _exported(version: PrincipleVersion) -> ExportedPrinciple:
    return ExportedPrinciple(
        name=version.name,
        statement=version.statement,
        rule=version.rule,
        space=version.space_name,
        task=version.task_name,
        author=version.author,
        rationale=version.rationale,
    )
