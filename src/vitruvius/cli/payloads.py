"""Facts as plain JSON data: the schema of every `--json`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from vitruvius.memory.records import CutRecord, Evidence, PrincipleVersion, Run, Trial
from vitruvius.spaces.rules import words

if TYPE_CHECKING:
    from vitruvius.tools.report import Report
    from vitruvius.tools.report.facts import Estimate


def run_data(run: Run) -> dict[str, Any]:
    """Returns a run without what its driver needs."""
    return {
        "id": run.id,
        "status": run.status.value,
        "created": run.created.isoformat(),
        "finished": run.finished.isoformat() if run.finished else None,
        "task": run.task_ref or run.task_name,
        "space": run.space_ref or run.space_name,
        "seed": run.seed,
        "budget": asdict(run.budget),
        "model": run.settings.get("model"),
        "parent": run.parent,
        "forked_from": run.forked_from,
        "forked_at": run.forked_at,
        "kind": run.kind.value,
    }


def trial_data(trial: Trial) -> dict[str, Any]:
    """Returns a trial; it holds no test figure."""
    return {
        "trial": trial.name,
        "origin": trial.origin.value,
        "status": trial.status.value,
        "value": trial.value,
        "architecture": trial.architecture.spec,
        "seed": trial.seed,
        "fidelity": trial.fidelity,
        "train_s": trial.train_s,
        "reused": trial.reused,
        "params": trial.params,
        "flops": trial.flops,
        "message": trial.message,
    }


def version_data(version: PrincipleVersion, evidence: Evidence | None = None) -> dict[str, Any]:
    """Returns a version of a principle, with what one run measured of it."""
    return {
        "name": version.name,
        "statement": version.statement,
        "rule": version.rule.model_dump(mode="json", exclude_none=True),
        "rule_words": words(version.rule),
        "space": version.space_name,
        "task": version.task_name,
        "author": version.author,
        "run": version.run_id,
        "step": version.step,
        "edit": version.edit,
        "rationale": version.rationale,
        "parents": list(version.parents),
        "created": version.created.isoformat(),
        "evidence": evidence_data(evidence) if evidence else None,
    }


def evidence_data(evidence: Evidence) -> dict[str, Any]:
    """Returns a measurement with the names of its trials."""
    data = asdict(evidence)
    del data["principle"], data["version"]
    return data | {
        "standing": evidence.standing.value,
        "supporting": [f"T{number}" for number in evidence.supporting],
        "contradicting": [f"T{number}" for number in evidence.contradicting],
    }


def cut_data(cut: CutRecord) -> dict[str, Any]:
    """Returns a cut with its rule in words."""
    data = asdict(cut)
    return data | {
        "rule": cut.rule.model_dump(mode="json", exclude_none=True),
        "rule_words": words(cut.rule),
        "in_force": cut.in_force,
    }


def best_data(report: Report) -> dict[str, Any] | None:
    """Returns the best network of a run; None where no trial has a score."""
    if report.best is None:
        return None
    best = report.best.finalist
    return {
        "architecture": best.architecture.spec,
        "found_as": best.found.name,
        "metric": report.metric.name,
        "unit": report.metric.unit,
        "search": _estimate(best.search),
        "confirmed": _estimate(best.confirmed),
        "params": best.found.params,
        "flops": best.found.flops,
        "weights": report.best.weights[1] if report.best.weights else None,
    }


def _estimate(estimate: Estimate | None) -> dict[str, Any] | None:
    if estimate is None:
        return None
    names = [f"T{number}" for number in estimate.trials]
    return {"mean": estimate.mean, "low": estimate.low, "high": estimate.high, "trials": names}
