"""Facts of a run as plain JSON data: the schema of every `--json` and of the MCP server."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from vitruvius.memory.records import CutRecord, Evidence, PrincipleVersion, Trial
from vitruvius.spaces.rules import words


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
        "peak_mib": trial.peak_mib,
        "propensity": trial.propensity,
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
