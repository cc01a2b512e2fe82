"""The public names of the package and of a run's handle: what users have written against."""

import inspect
from pathlib import Path

import pytest

import vitruvius as vt

TASKS = Path(__file__).parent / "notebooks/slow.py"
# Every public name of a handle; a property has no arguments, `**` takes settings.
HANDLE = {
    "aresume": ["on_event", "ask", "progress", "**settings"],
    "ask": ["question", "ask", "thread", "**settings"],
    "best": None,
    "carry_out": ["on_event", "ask", "**settings"],
    "draw": ["architecture"],
    "drive_through": ["through", "on_event", "asks"],
    "export": ["directory"],
    "facts": [],
    "follow": ["last"],
    "fork": ["at", "budget"],
    "is_running": None,
    "plot": None,
    "principle": ["name"],
    "principles": None,
    "record": None,
    "region": None,
    "report": None,
    "report_html": None,
    "resume": ["on_event", "ask", "space", "task", "progress", "**settings"],
    "space": None,
    "start": ["**settings"],
    "start_here": ["on_event", "ask", "space", "task", "progress", "**settings"],
    "steer": ["call", "author"],
    "stop": [],
    "task": None,
    "trial": ["name"],
    "trials": None,
    "wait": ["timeout"],
}


def arguments(name: str) -> list[str] | None:
    found = inspect.getattr_static(vt.SearchRun, name)
    if isinstance(found, property):
        return None
    given = list(inspect.signature(found).parameters.values())[1:]
    return [f"**{one.name}" if one.kind == one.VAR_KEYWORD else one.name for one in given]


def test_a_handle_has_these_names_and_no_others() -> None:
    public = [name for name in dir(vt.SearchRun) if not name.startswith("_")]
    assert {name: arguments(name) for name in public} == HANDLE
    assert [name for name in public if not inspect.getdoc(getattr(vt.SearchRun, name))] == []


def test_the_package_shows_its_public_names() -> None:
    assert dir(vt) == sorted(vt.__all__)
    assert {"SearchRun", "open", "runs", "search"} < set(dir(vt))
    assert [name for name in vt.__all__ if getattr(vt, name, None) is None] == []


def test_the_runs_of_a_home_are_listed_as_handles_the_latest_first(tmp_path: Path) -> None:
    assert repr(vt.runs(tmp_path)) == f"no runs in {tmp_path}"
    assert not list(tmp_path.iterdir())  # looking makes no ledger
    first = vt.search(f"{TASKS}:quick", f"{TASKS}:space", "4 trials", home=tmp_path)
    second = vt.create(f"{TASKS}:quick", f"{TASKS}:space", "4 trials", home=tmp_path)
    found = vt.runs(home=tmp_path)
    assert [run.id for run in found] == [second.id, first.id]
    assert all(isinstance(run, vt.SearchRun) for run in found)
    waits, done = repr(found).splitlines()
    record = first.record
    assert waits == f"{second.id}: {record.task_name} on {record.space_name}, pending, 0 trials"
    best = max(first.trials["value"])
    assert done.startswith(f"{first.id}: {record.task_name} on {record.space_name}, done, 4 trials")
    assert f"best {best:.4g}" in done
    html = found._repr_html_()
    assert html.index(second.id) < html.index(first.id)
    found.pop(0)
    assert second.id not in repr(found)


def test_the_runs_are_those_of_the_settings_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VITRUVIUS_HOME", str(tmp_path))
    run = vt.create(f"{TASKS}:quick", f"{TASKS}:space", "4 trials")
    assert [one.id for one in vt.runs()] == [run.id]
