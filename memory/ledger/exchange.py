"""Principles out to a file and in from one. What a file says is data, never trusted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from sqlalchemy import Connection, insert, select

from vitruvius.budget import Budget
from vitruvius.errors import ToolError
from vitruvius.memory.ledger import schema
from vitruvius.memory.ledger.evidence import evidence_about
from vitruvius.memory.ledger.principle_edits import (
    current_of_all,
    history_of,
    holders,
    in_force,
    split_name,
    write_version,
)
from vitruvius.memory.ledger.runs import insert_run
from vitruvius.memory.records import Evidence, PrincipleVersion, RunKind, RunStatus, Standing
from vitruvius.spaces.rules import Rule

# one line, so that no text can pass for more than one line of a prompt or a report
_OneLine = AfterValidator(lambda text: " ".join(text.split()))
WIDEST = 8.0  # bound of effects; a test compares it with that of `effects`, which needs scipy
Name = Annotated[str, Field(min_length=1, max_length=200), _OneLine]
Text = Annotated[str, Field(min_length=3, max_length=600), _OneLine]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0, le=10**9)]
Effect = Annotated[float, Field(ge=-WIDEST, le=WIDEST)]
Points = Annotated[float, Field(ge=-1e12, le=1e12)]


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ExportedEvidence(_Data):
    """What one run last measured of a version: its sums, not its trials."""

    run: Name  # in the home it came from
    task: Name
    up_to: Count
    look: Annotated[int, Field(ge=1, le=10**6)]
    n_in: Count
    n_out: Count
    effect: Effect
    low: Effect
    high: Effect
    p_value: Share
    doubly_robust: Points | None = None
    points: Points | None = None
    top_loss: Share
    top_loss_high: Share
    kept: Share
    standing: Standing

    @model_validator(mode="after")
    def _is_an_interval(self) -> Self:
        if not self.low <= self.effect <= self.high:
            raise ValueError("expected low <= effect <= high")
        return self


class ExportedVersion(_Data):
    """One version of a principle and what was measured of it."""

    name: Name  # in the home it came from
    statement: Text
    rule: Rule
    task: Name
    author: Name
    rationale: Text
    evidence: Annotated[tuple[ExportedEvidence, ...], Field(max_length=1_000)] = ()


class ExportedPrinciple(ExportedVersion):
    """One principle as it stands; `history` are the versions before, oldest first."""

    space: Name
    history: Annotated[tuple[ExportedVersion, ...], Field(max_length=1_000)] = ()


class PrincipleFile(_Data):
    """The whole file. Version 1 had neither evidence nor history."""

    format: Literal["vitruvius-principles"] = "vitruvius-principles"
    version: Literal[1, 2] = 2
    principles: Annotated[tuple[ExportedPrinciple, ...], Field(max_length=10_000)]


_SUMS = tuple(name for name in ExportedEvidence.model_fields if name not in ("run", "task"))
_RUNS = select(schema.runs.c.id, schema.runs.c.task_name, schema.runs.c.settings)


def export_principles(
    connection: Connection, ids: Iterable[int | str] | None = None
) -> PrincipleFile:
    """Returns current principles, all or those named, with their history and evidence.

    Raises:
        ToolError: names the first id that is unknown or retired.
    """
    current = {version.principle: version for version in in_force(current_of_all(connection))}
    numbers = list(current) if ids is None else [split_name(name)[0] for name in ids]
    for number in numbers:
        if number not in current:
            raise ToolError(f"there is no principle P{number}, or it was retired")
    runs = {run.id: run for run in connection.execute(_RUNS)}
    return PrincipleFile(
        principles=tuple(_exported(connection, current[number], runs) for number in numbers)
    )


def read_principles(data: Any) -> PrincipleFile:
    """Returns the file that these data are.

    Raises:
        ToolError: names the first part of the data that does not fit the format.
    """
    try:
        return PrincipleFile.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise ToolError(f"not a file of principles: {place}: {first['msg']}") from error


def import_principles(
    connection: Connection, file: PrincipleFile, without_keys: Callable[[str], str]
) -> list[PrincipleVersion]:
    """Writes the principles of a file that no principle of the same space holds already."""
    stands: dict[tuple[str, str, str], str] = {}
    made = []
    for one in file.principles:
        held = current_of_all(connection, holders(connection, one.rule, one.space))
        if any(r.edit != "retire" and r.rule_key == one.rule.key for r in held.values()):
            continue
        version = None
        for step in (*one.history, one):
            version = _import(connection, step, one.space, version, without_keys)
            _import_evidence(connection, step, one.space, version, stands)
        assert version is not None
        made.append(version)
    return made


def _exported(
    connection: Connection, version: PrincipleVersion, runs: Mapping[str, Any]
) -> ExportedPrinciple:
    evidence = evidence_about(connection, version.principle)
    history = [
        _exported_version(one, evidence, runs)
        for one in history_of(connection, version.principle)
        if one.version < version.version and one.edit != "retire"
    ]
    now = _exported_version(version, evidence, runs)
    return ExportedPrinciple(
        **{name: getattr(now, name) for name in ExportedVersion.model_fields},
        space=version.space_name,
        history=tuple(history),
    )


def _import(
    connection: Connection,
    one: ExportedVersion,
    space_name: str,
    before: PrincipleVersion | None,
    without_keys: Callable[[str], str],
) -> PrincipleVersion:
    return write_version(
        connection,
        principle=before.principle if before else None,
        edit_key=None,
        run_id=None,
        step=0,
        edit="import",
        parents=(before.name,) if before else (),
        statement=without_keys(one.statement),
        rule=one.rule,
        space_name=space_name,
        task_name=one.task,
        author=one.author,
        rationale=without_keys(one.rationale),
    )


def _exported_version(
    version: PrincipleVersion, evidence: Sequence[Evidence], runs: Mapping[str, Any]
) -> ExportedVersion:
    last = {one.run_id: one for one in evidence if one.version == version.version}
    return ExportedVersion(
        name=version.name,
        statement=version.statement,
        rule=version.rule,
        task=version.task_name,
        author=version.author,
        rationale=version.rationale,
        evidence=tuple(
            ExportedEvidence(
                run=_first_name(runs[name]),
                task=runs[name].task_name,
                **{field: getattr(one, field) for field in _SUMS},
            )
            for name, one in sorted(last.items())
        ),
    )


def _first_name(run: Any) -> str:
    """Returns the run's name, or that in the home where it was driven."""
    return str(run.settings.get("import", run.id))


def _import_evidence(
    connection: Connection,
    one: ExportedVersion,
    space_name: str,
    version: PrincipleVersion,
    stands: dict[tuple[str, str, str], str],
) -> None:
    """Writes evidence under the runs that stand for those of the other home."""
    for evidence in one.evidence:
        key = evidence.run, evidence.task, space_name
        if key not in stands:
            stands[key] = _stand_in(connection, *key)
        connection.execute(
            insert(schema.evidence).values(
                run_id=stands[key],
                principle=version.principle,
                version=version.version,
                supporting=[],
                contradicting=[],
                **{field: getattr(evidence, field) for field in _SUMS},
            )
        )


def _stand_in(connection: Connection, name: str, task_name: str, space_name: str) -> str:
    run = insert_run(
        connection,
        space_ref="",
        space_id=space_name,
        space_name=space_name,
        task_ref="",
        task_id=task_name,
        task_name=task_name,
        seed=0,
        budget=Budget(),
        settings={"import": name},
        sources={},
        kind=RunKind.IMPORT,
        status=RunStatus.DONE,
    )
    return run.id
