"""The report as files in the run's folder: Markdown, one page of HTML, a summary for programs."""

from __future__ import annotations

from pathlib import Path

from vitruvius.errors import VitruviusError
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import RunStatus
from vitruvius.spaces.space import SearchSpace
from vitruvius.tasks.task import Task
from vitruvius.tools.report.build import build_report
from vitruvius.tools.report.data import SUMMARY, json_text, summary_data
from vitruvius.tools.report.facts import Report
from vitruvius.tools.report.markdown import to_markdown

FILE, PAGE = "report.md", "report.html"


def write_report(
    ledger: Ledger,
    run_id: str,
    space: SearchSpace,
    task: Task,
    run_dir: Path,
    status: RunStatus,
    *,
    with_page: bool = True,
) -> Path:
    """Writes `report.md`, `report.html` and `summary.json`, each whole; returns the first's path.

    `status` is what the run's row will say: the report comes first, so that a run that is done
    has one, whenever the process was killed.

    Args:
        ledger: where the facts are.
        run_id: of the run.
        space: of the run.
        task: of the run.
        run_dir: the run's folder; made if it is not there.
        status: what its row will say.
        with_page: whether HTML is written too, which a thousand searches of a bench do not need.

    Raises:
        VitruviusError: the folder cannot be written; the run itself is not harmed.
    """
    facts = build_report(ledger, run_id, space, task, status)
    path = run_dir / FILE
    _write(path, to_markdown(facts), run_id)
    if with_page:
        write_page(facts, run_dir / PAGE)
    _write(run_dir / SUMMARY, json_text(summary_data(facts, run_dir)), run_id)
    return path


def write_page(facts: Report, path: Path) -> None:
    """Writes the report as one self-contained page of HTML, by atomic rename.

    Raises:
        VitruviusError: the folder cannot be written.
    """
    from vitruvius.tools.report.page import to_html  # the template engine, only where it is needed

    _write(path, to_html(facts), facts.run.id)


def _write(path: Path, text: str, run_id: str) -> None:
    draft = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        raise VitruviusError(
            f"cannot write the report {path}: {error.strerror}; mend that, then run "
            f"`vitruvius report {run_id}`"
        ) from error
