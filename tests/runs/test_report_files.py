"""The report's files at the end of a run say what its rows say."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import vitruvius as vt
from vitruvius.graphs.drive import driver
from vitruvius.graphs.search import nodes


def test_the_files_are_those_that_the_rows_give_however_long_writing_takes(
    search: Callable[..., vt.SearchRun], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = nodes.write_report

    def slowly(*given: Any, **more: Any) -> Path:
        path = write(*given, **more)
        time.sleep(0.3)  # several heartbeats, which must book nothing more
        return path

    monkeypatch.setattr(driver, "HEARTBEAT_S", 0.05)
    monkeypatch.setattr(nodes, "write_report", slowly)
    run = search()
    folder = home / "runs" / run.id
    assert (folder / "report.md").read_text() == run.report
    assert (folder / "report.html").read_text() == run.report_html
