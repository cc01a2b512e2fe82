"""The report as files in the run's folder: Markdown for people, a summary for programs."""

from __future__ import annotations

from pathlib import Path

from vitruvius.errors import VitruviusError
from vitruvius.memory.ledger import Ledger
from vitruvius.memory.records import RunStatus
from vitruvius.spaces.space import SearchSpace
from vitruvius.tasks.task import Task
from vitruvius.tools.report.build import build_report
from vitruvius.tools.report.data import write_summary
from vitruvius.tools.report.markdown import to_markdown

FILE = "report.md"


def write_report(
    ledger: Ledger,
    run_id: str,
    space: SearchSpace,
    task: Task,
    run_dir: Path,
    status: RunStatus,
) -> Path:
    """Writes the report and its summary by atomic rename; returns the path of the Markdown.

    `status` is what the run's row will say: the report comes first, so that a run that is done
    has one, whenever the process was killed.

    Raises:
        VitruviusError: the folder cannot be written; the run itself is not harmed.
    """
    facts = build_report(ledger, run_id, space, task, status)
    text = to_markdown(facts)
    path = run_dir / FILE
    draft = path.with_suffix(".md.part")
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
        write_summary(facts, run_dir)
    except OSError as error:
        raise VitruviusError(
            f"cannot write the report {path}: {error.strerror}; mend that, then run "
            f"`vitruvius report {run_id}`"
        ) from error
    return path
