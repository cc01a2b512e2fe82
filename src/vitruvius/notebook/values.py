"""What a run's handle hands out: a trial, a principle, a drawn architecture, a region."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from vitruvius.memory.decisions import Decision
from vitruvius.memory.records import PrincipleVersion, Standing, Trial
from vitruvius.notebook.html import card, drawn, facts, line, picture, table
from vitruvius.spaces.region import Region
from vitruvius.spaces.rules import Rule, words
from vitruvius.spaces.space import Architecture, SearchSpace
from vitruvius.tasks.task import Metric
from vitruvius.tools.report.words import seconds
from vitruvius.tools.safe_text import names

if TYPE_CHECKING:
    import pandas as pd

    from vitruvius.tools.report.facts import PrincipleReport, Report


@dataclass(frozen=True)
class Drawing:
    """An architecture of a space, drawn."""

    space: SearchSpace
    architecture: Architecture

    def __str__(self) -> str:
        return self.space.draw(self.architecture)

    def _repr_html_(self) -> str:
        return card(drawn(self.space, self.architecture))


@dataclass(frozen=True)
class TrialView:
    """A trial of a run. `why` is the reason that its decision gave."""

    trial: Trial
    space: SearchSpace
    metric: Metric
    author: str | None
    why: str | None

    def __repr__(self) -> str:
        return f"{self.trial.name}: {self._result()} {self.trial.architecture}"

    def __getattr__(self, name: str) -> Any:
        """Returns what the ledger holds of the trial: `value`, `seed`, `params`, ..."""
        if name.startswith("_") or name == "trial":  # not of a half-made copy
            raise AttributeError(name)
        return getattr(self.trial, name)

    @property
    def drawing(self) -> Drawing:
        return Drawing(self.space, self.trial.architecture)

    def _result(self) -> str:
        if self.trial.value is None:
            return f"{self.trial.status} {self.trial.problem}".strip()
        return f"{self.trial.value:.4g} {self.metric.unit}".strip()

    def _repr_html_(self) -> str:
        trial = self.trial
        rows = [("origin", trial.origin.value), ("status", trial.status.value)]
        rows += [("decided by", self.author or ""), ("because", self.why or "")]
        for name, unit in (("params", "parameters"), ("flops", "multiply-adds")):
            if (count := getattr(trial, name)) is not None:
                rows.append((unit, f"{count:,}"))
        if trial.train_s is not None:
            took = "reused: nothing" if trial.reused else seconds(trial.train_s)
            rows.append(("training", took))
        rows += [("fidelity", trial.fidelity), ("seed", str(trial.seed))]
        return card(
            line(f"Trial {trial.name} of run {trial.run_id}", "muted"),
            line(self._result(), "big"),
            drawn(self.space, trial.architecture),
            facts((name, said) for name, said in rows if said),
        )


@dataclass(frozen=True)
class PrincipleView:
    """A principle as a run leaves it: its versions, every measurement, what it licensed."""

    facts: PrincipleReport
    report: Report

    @property
    def version(self) -> PrincipleVersion:
        return self.facts.version

    @property
    def standing(self) -> Standing:
        return self.facts.standing

    @property
    def statement(self) -> str:
        return self.version.statement

    @property
    def rule(self) -> Rule:
        return self.version.rule

    def __repr__(self) -> str:
        return f"{self.version.name}, {self.standing}: {self.statement}"

    @property
    def history(self) -> pd.DataFrame:
        """One row per version: who wrote it when, out of what, and why."""
        import pandas as pd

        columns = ("name", "edit", "author", "run", "after_trial", "statement", "rule", "rationale",
                   "parents")  # fmt: skip
        rows = [
            (v.name, v.edit, v.author, v.run_id, at, v.statement, words(v.rule), v.rationale,
             v.parents)
            for v, at in zip(self.facts.lineage, self.facts.written, strict=True)
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=list(columns)).set_index("name")

    @property
    def evidence(self) -> pd.DataFrame:
        """One row per measurement in this run, with the trials that speak for it and against it."""
        import pandas as pd

        columns = ("up_to", "version", "standing", "effect", "low", "high", "n_in", "n_out",
                   "top_loss_high", "supporting", "contradicting")  # fmt: skip
        rows = [tuple(getattr(look, name) for name in columns) for look in self.facts.looks]
        return pd.DataFrame(rows, columns=list(columns)).set_index("up_to")

    def _repr_html_(self) -> str:
        from vitruvius.tools.report.learned import effect_text

        rows = [
            ("rule", words(self.rule)),
            ("measured", effect_text(self.facts, self.report.metric)),
        ]
        if (evidence := self.facts.evidence) is not None:
            rows.append(("for it", names(evidence.supporting) or "none"))
            rows.append(("against it", names(evidence.contradicting) or "none"))
        if self.facts.cuts:
            rows.append(("licensed", ", ".join(f"cut {number}" for number in self.facts.cuts)))
        versions = [
            (v.name, v.edit, v.author, f"T{at}" if at else "before this run", v.rationale)
            for v, at in zip(self.facts.lineage, self.facts.written, strict=True)
        ]
        return card(
            line(f"{self.version.name}, {self.standing}, run {self.report.run.id}", "muted"),
            line(self.statement),
            facts(rows),
            self._course(),
            table(versions, head=("version", "edit", "by", "after", "because")),
        )

    def _course(self) -> str:
        from vitruvius.tools.plots.effects import plot_looks
        from vitruvius.tools.plots.style import to_svg

        if len(self.facts.looks) < 2:  # one measurement has no course
            return ""
        name = f"looks-{self.version.name.replace('.', '-')}-"
        return picture(to_svg(partial(plot_looks, self.facts), width=5, height=1.7, name=name), 480)


class ShownRegion(Region):
    """A region that shows what is left, and each cut with its reason."""

    def __repr__(self) -> str:
        return f"Region({self.fraction():.1%} of {self.space.name}, {len(self.cuts)} cuts)"

    def _repr_html_(self) -> str:
        rows = [
            (str(cut.number), words(cut.rule), cut.principle, cut.reason
             + (" (provisional)" if cut.provisional else ""))
            for cut in self.cuts
        ]  # fmt: skip
        head = ("cut", "keeps", "by", "because")
        return card(
            line(f"{self.fraction():.1%} of {self.space.name} is left", "big"),
            table(rows, head=head) if rows else line("Nothing is cut."),
        )


def trial_view(
    trial: Trial, space: SearchSpace, metric: Metric, made: Decision | None
) -> TrialView:
    """Returns the view of a trial; `made` is the decision that it came from."""
    if made is None:
        return TrialView(trial, space, metric, None, None)
    return TrialView(trial, space, metric, made.author, made.reason or None)
