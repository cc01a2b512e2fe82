"""Principles of one run in memory: edits, evidence and cuts, by the graph's rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from vitruvius.agents.chairs.view import PrincipleView
from vitruvius.errors import ToolError
from vitruvius.memory.edits import Edit, Merge, Narrow, Retire, Revise
from vitruvius.memory.evidence.effects import licenses_cut, measure
from vitruvius.memory.records import Evidence, PrincipleVersion, Trial
from vitruvius.spaces.region import Cut, Region
from vitruvius.spaces.rules import Rule
from vitruvius.spaces.space import SearchSpace
from vitruvius.tasks.task import Metric

MAX_CUTS = 6
WHEN = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(eq=False)
class Book:
    """Live versions, all evidence, and how many rules were ever proposed."""

    space: SearchSpace
    metric: Metric
    run_id: str
    live: dict[int, PrincipleVersion] = field(default_factory=dict)
    latest: dict[tuple[int, int], Evidence] = field(default_factory=dict)
    history: list[tuple[PrincipleVersion, Evidence]] = field(default_factory=list)
    proposed: int = 0
    principles: int = 0

    def write(
        self, rule: Rule, statement: str, author: str, principle: int | None = None
    ) -> PrincipleVersion:
        """Returns a new version: of a principle, or of a new one."""
        if principle is None:
            self.principles += 1
            principle = self.principles
        before = self.live.get(principle)
        self.proposed += 1
        version = PrincipleVersion(
            principle=principle,
            version=before.version + 1 if before else 1,
            statement=statement,
            rule=rule,
            space_name=self.space.name,
            task_name="",
            author=author,
            run_id=self.run_id,
            step=0,
            edit="revise" if before else "add",
            rationale="",
            parents=(),
            created=WHEN,
        )
        self.live[principle] = version
        return version

    def apply(self, edits: Sequence[Edit], author: str) -> None:
        """Applies edits in order; one whose rule is held already is left out."""
        for edit in edits:
            if isinstance(edit, Retire):
                self.live.pop(_number(edit.principle))
                continue
            if any(version.rule.key == edit.rule.key for version in self.live.values()):
                continue
            if isinstance(edit, Merge):
                for name in edit.principles:
                    self.live.pop(_number(name))
            old = _number(edit.principle) if isinstance(edit, Revise | Narrow) else None
            self.write(edit.rule, edit.statement, author, old)

    def verify(self, trials: Sequence[Trial]) -> None:
        """Measures every live version."""
        versions = list(self.live.values())
        found = measure(
            run_id=self.run_id,
            space=self.space,
            metric=self.metric,
            trials=trials,
            versions=versions,
            previous=self.latest,
            proposed_ever=self.proposed,
        )
        for version, evidence in zip(versions, found, strict=False):
            self.latest[version.principle, version.version] = evidence
            self.history.append((version, evidence))

    def views(self) -> list[PrincipleView]:
        """Returns what a chair sees of the live principles."""
        return [
            PrincipleView.of(version, self.latest.get((version.principle, version.version)))
            for version in self.live.values()
        ]

    def region(self) -> Region:
        """Returns the space after the cuts that the evidence licenses, the largest first."""
        region = Region(self.space)
        licensed = [
            (self.latest[key], version)
            for version in self.live.values()
            if (key := (version.principle, version.version)) in self.latest
            and licenses_cut(self.latest[key])
        ]
        for evidence, version in sorted(licensed, key=lambda row: row[0].kept):
            if len(region.cuts) == MAX_CUTS:
                break
            cut = Cut(
                number=evidence.principle, rule=version.rule, principle=version.name, reason=""
            )
            try:
                region = region.with_cut(cut)
            except ToolError:
                continue
        return region


def _number(name: str) -> int:
    return int(name[1:])
