"""Runs on recurrent cells and transformers as a user starts them, from search to export."""

from pathlib import Path

import pytest
from runs.helpers import trials_of

import vitruvius as vt
from vitruvius.memory.records import ResultStatus, RunStatus

SMALL_TEXT = "tokens=3000,vocabulary=40,context=8,epochs=1"


@pytest.mark.parametrize(
    ("space", "task"),
    [
        ("recurrent:layers=1,hidden=8,embedding=8", f"topics:{SMALL_TEXT}"),
        ("flexibert", f"masked:topics,{SMALL_TEXT}"),
        ("flexibert", "mnist1d:samples=64,epochs=1"),
    ],
)
def test_a_search_trains_reports_and_exports(
    space: str, task: str, tmp_path: Path, home: Path
) -> None:
    run = vt.search(task, space, "3 trials", home=home, model="analyst", workers=1)
    assert run.record.status == RunStatus.DONE
    assert [trial.status for trial in trials_of(run)] == [ResultStatus.DONE] * 3
    assert "## Best network" in run.report
    exported = run.export(tmp_path / "best")
    assert {path.name for path in (tmp_path / "best").iterdir()} >= {"network.py", "network.pt"}
    assert exported is not None
