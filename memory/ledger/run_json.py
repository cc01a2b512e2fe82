"""A run as plain JSON data, for every `--json` and for summaries."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from vitruvius.memory.records import Run


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
