"""A run's summary as plain JSON data, for programs and agents that wake up in the morning.

Its form is versioned: fields may be added under one `schema`; none is renamed or taken away.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vitruvius.events import LOG
from vitruvius.memory.ledger.runs import run_data
from vitruvius.memory.records import RunStatus, Standing
from vitruvius.spaces.rules import words
from vitruvius.tools.report.facts import Best, CutReport, Estimate, PrincipleReport, Report
from vitruvius.tools.training.evaluation import write_whole

SCHEMA = "vitruvius.summary/1"
SUMMARY = "summary.json"  # in the folder of a run
PRINCIPLES = 10  # at most; the report has all


def summary_data(report: Report, run_dir: Path, *, error: str | None = None) -> dict[str, Any]:
    """Returns the summary; `error` is the sentence with which the run broke off."""
    run = report.run
    is_done = run.status == RunStatus.DONE
    page = run_dir / "report.html"
    return {
        "schema": SCHEMA,
        "run": run_data(run),
        "error": error,
        "next": None if is_done else f"vitruvius resume {run.id}",
        "best": best_data(report),
        "random": _random(report),
        "spent": asdict(report.spent),
        "trials": {
            "all": report.n_trials,
            "by_kind": {entry.kind: len(entry.trials) for entry in report.accounts},
            "failed": {kind: len(mine) for kind, mine in report.failures.items()},
        },
        "principles": {
            "by_standing": dict(Counter(p.standing.value for p in report.principles)),
            "supported": [_principle(p) for p in _supported(report)],
        },
        "cuts": [_cut(cut) for cut in report.cuts],
        "region_left": report.region_left,
        "distrust": list(report.distrust),
        "files": {
            "report": str(run_dir / "report.md"),
            "page": str(page) if page.exists() else None,
            "log": str(run_dir / LOG),
            "weights": _weights(report.best),
        },
    }


def write_summary(report: Report, run_dir: Path, *, error: str | None = None) -> Path:
    """Writes the summary into the folder of the run, there whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    path = run_dir / SUMMARY
    write_whole(path, json_text(summary_data(report, run_dir, error=error)).encode())
    return path


def json_text(data: Mapping[str, Any]) -> str:
    """Returns data as indented JSON that ends its last line; what is not finite becomes null."""
    return json.dumps(_finite(data), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _finite(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {name: _finite(value) for name, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


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
        "weights": _weights(report.best),
    }


def _estimate(estimate: Estimate | None) -> dict[str, Any] | None:
    if estimate is None:
        return None
    names = [f"T{number}" for number in estimate.trials]
    return {"mean": estimate.mean, "low": estimate.low, "high": estimate.high, "trials": names}


def _random(report: Report) -> dict[str, Any] | None:
    """Returns what as many uniform draws would have found, after all trials of the search."""
    points = report.curve.points
    band = points[-1].random if points else None
    if band is None:
        return None
    names = [f"T{number}" for number in band.trials]
    return {"median": band.median, "low": band.low, "high": band.high, "trials": names}


def _supported(report: Report) -> list[PrincipleReport]:
    found = [p for p in report.principles if p.standing == Standing.SUPPORTED and p.evidence]
    return sorted(found, key=_size, reverse=True)[:PRINCIPLES]


def _size(principle: PrincipleReport) -> float:
    return abs(principle.evidence.effect) if principle.evidence else 0.0


def _principle(principle: PrincipleReport) -> dict[str, Any]:
    evidence = principle.evidence
    assert evidence is not None
    return {
        "name": principle.version.name,
        "statement": principle.version.statement,
        "rule_words": words(principle.version.rule),
        "author": principle.version.author,
        "effect": evidence.effect,
        "low": evidence.low,
        "high": evidence.high,
    }


def _cut(report: CutReport) -> dict[str, Any]:
    cut = report.cut
    return {
        "number": cut.number,
        "rule_words": words(cut.rule),
        "principle": cut.principle,
        "kept": cut.kept,
        "in_force": cut.in_force,
    }


def _weights(best: Best | None) -> str | None:
    return best.weights[1] if best is not None and best.weights else None
