"""Principles out to a file and in from one. What a file says is data, never trusted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection, insert

from vitruvius.budget import Budget
from vitruvius.errors import ToolError
from vitruvius.memory.ledger import schema
from vitruvius.memory.ledger.evidence_rows import EvidenceRows
from vitruvius.memory.ledger.exchange_format import (
    ExportedEvidence,
    ExportedPrinciple,
    ExportedVersion,
    PrincipleFile,
)
from vitruvius.memory.ledger.principle_edits import PrincipleRows
from vitruvius.memory.ledger.runs import RunRows, insert_run
from vitruvius.memory.ledger.version_rows import (
    current_of_all,
    holders,
    split_name,
    write_version,
)
from vitruvius.memory.records import Evidence, PrincipleVersion, Run, RunKind, RunStatus

_SUMS = tuple(name for name in ExportedEvidence.model_fields if name not in ("run", "task"))


class ExchangeRows(PrincipleRows, EvidenceRows, RunRows):
    """Principles in and out."""

    def export_principles(self, ids: Iterable[int | str] | None = None) -> dict[str, Any]:
        """Returns current principles, all or those named, as JSON-able data.

        With each go its earlier versions and what every run last measured of them; the trials
        stay where they are.

        Raises:
            ToolError: names the first id that is unknown or retired.
        """
        current = {version.principle: version for version in self.all_current()}
        numbers = list(current) if ids is None else [split_name(name)[0] for name in ids]
        for number in numbers:
            if number not in current:
                raise ToolError(f"there is no principle P{number}, or it was retired")
        runs = {run.id: run for run in self.runs()}
        file = PrincipleFile(
            principles=tuple(self._exported(current[number], runs) for number in numbers)
        )
        return file.model_dump(mode="json", exclude_none=True)

    def import_principles(self, data: Any) -> list[PrincipleVersion]:
        """Takes in exported principles, all or none; returns the new ones, as they stand.

        A rule that a principle of the same space holds already is passed over. Evidence goes to
        runs of kind `import`, one for each run of the other home: it has no trials here, and
        whoever recalls the principle trusts it the less for that.

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
            stands: dict[tuple[str, str, str], str] = {}
            made = []
            for one in file.principles:
                held = current_of_all(connection, holders(connection, one.rule, one.space))
                if any(r.edit != "retire" and r.rule_key == one.rule.key for r in held.values()):
                    continue
                version = None
                for step in (*one.history, one):
                    version = self._import(connection, step, one.space, version)
                    _import_evidence(connection, step, one.space, version, stands)
                assert version is not None
                made.append(version)
        return made

    def _exported(self, version: PrincipleVersion, runs: dict[str, Run]) -> ExportedPrinciple:
        evidence = self.evidence_of(version.principle)
        history = [
            _exported_version(one, evidence, runs)
            for one in self.versions(version.principle)
            if one.version < version.version and one.edit != "retire"
        ]
        now = _exported_version(version, evidence, runs)
        return ExportedPrinciple(
            **{name: getattr(now, name) for name in ExportedVersion.model_fields},
            space=version.space_name,
            history=tuple(history),
        )

    def _import(
        self,
        connection: Connection,
        one: ExportedVersion,
        space_name: str,
        before: PrincipleVersion | None,
    ) -> PrincipleVersion:
        return write_version(
            connection,
            principle=before.principle if before else None,
            edit_key=None,
            run_id=None,
            step=0,
            edit="import",
            parents=(before.name,) if before else (),
            statement=self._without_keys(one.statement),
            rule=one.rule,
            space_name=space_name,
            task_name=one.task,
            author=one.author,
            rationale=self._without_keys(one.rationale),
        )


def _exported_version(
    version: PrincipleVersion, evidence: Sequence[Evidence], runs: dict[str, Run]
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


def _first_name(run: Run) -> str:
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
