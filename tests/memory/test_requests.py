"""Wishes and messages: kept in order by any number of writers, taken up once, without keys."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from vitruvius.errors import ConfigError, VitruviusError
from vitruvius.memory.ledger import file as ledger_file
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.ledger.requests import WishStatus
from vitruvius.memory.records import DecisionStatus, Run

NewRun = Callable[..., Run]
SOURCE = str(Path(__file__).parents[2] / "src")
WRITER = """
import sys
from pathlib import Path
from vitruvius.memory.ledger.ledger import Ledger

home, run, name = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
with Ledger.open(home) as ledger:
    print("ready", flush=True)
    sys.stdin.readline()
    for n in range(50):
        ledger.requests.add_wish(run, name, {"tool": "note", "text": str(n)})
        ledger.requests.add_message(run, "main", "user", f"{name} {n}")
"""


def test_two_processes_append_wishes_and_messages_and_lose_none(
    ledger: Ledger, new_run: NewRun, tmp_path: Path
) -> None:
    run = new_run(ledger)
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path / "home"), run.id, name],
            env={"PYTHONPATH": SOURCE},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("ada", "bob")
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=60)
        assert writer.returncode == 0
    wishes, said = ledger.requests.wishes(run.id), ledger.requests.messages(run.id, "main")
    assert [wish.id for wish in wishes] == sorted({wish.id for wish in wishes})
    for name in ("ada", "bob"):
        assert [w.written["text"] for w in wishes if w.author == name] == list(map(str, range(50)))
        assert [m.text for m in said if m.text.startswith(name)] == [
            f"{name} {n}" for n in range(50)
        ]


def test_a_wish_becomes_one_decision_and_closes_with_it(ledger: Ledger, new_run: NewRun) -> None:
    run = new_run(ledger)
    wish = ledger.requests.add_wish(run.id, "ada", {"tool": "prune", "principle": "P1"})
    first = ledger.requests.take_wish(wish.id, 0, {"tool": "prune", "wish": wish.id})
    assert ledger.requests.take_wish(wish.id, 7, {"tool": "other"}) == first
    assert ledger.steps.open_decision(run.id) == first
    assert (first.author, first.step) == ("ada", 0)
    assert ledger.requests.wishes(run.id, is_open=True) == [ledger.requests.wish(wish.id)]
    ledger.steps.close_decision(first.id, DecisionStatus.CARRIED_OUT, "cut 1")
    (closed,) = ledger.requests.wishes(run.id, is_open=False)
    assert (closed.status, closed.words, closed.step) == (WishStatus.DONE, "cut 1", 0)
    ledger.requests.close_wish(wish.id, WishStatus.REFUSED, "too late")
    assert ledger.requests.wish(wish.id) == closed


@pytest.mark.parametrize(
    ("status", "outcome", "words"),
    [
        (DecisionStatus.REFUSED, "the person refused: no", "the person refused: no"),
        (DecisionStatus.CARRIED_OUT, "refused: it may not cut", "it may not cut"),
    ],
)
def test_a_decision_that_came_to_nothing_refuses_its_wish(
    ledger: Ledger, new_run: NewRun, status: DecisionStatus, outcome: str, words: str
) -> None:
    wish = ledger.requests.add_wish(new_run(ledger).id, "ada", {"tool": "prune"})
    decision = ledger.requests.take_wish(wish.id, 0, {"tool": "prune"})
    ledger.steps.close_decision(decision.id, status, outcome)
    assert ledger.requests.wish(wish.id).status == WishStatus.REFUSED
    assert ledger.requests.wish(wish.id).words == words


def test_keys_never_reach_wishes_and_messages(
    tmp_path: Path, new_run: NewRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_API_KEY", "of-the-environment")
    keys = ("given-by-hand", "of-the-environment", "sk-looks-like-a-key-0123456789")
    said = f"use {' or '.join(keys)}, please"
    with Ledger.open(tmp_path, secrets=["given-by-hand"]) as ledger:
        run = new_run(ledger)
        wish = ledger.requests.add_wish(
            run.id, "ada", {"tool": "note", "text": said, "more": [said]}
        )
        ledger.requests.add_message(run.id, "main", "tool", said, {"result": {"text": said}})
        ledger.requests.close_wish(wish.id, WishStatus.DONE, said)
        (message,) = ledger.requests.messages(run.id, "main")
        assert message.text == "use [redacted] or [redacted] or [redacted], please"
    for file in tmp_path.glob("ledger.db*"):
        assert not any(key.encode() in file.read_bytes() for key in keys)


def test_messages_come_back_by_thread_in_order(ledger: Ledger, new_run: NewRun) -> None:
    run = new_run(ledger)
    for n in range(4):
        ledger.requests.add_message(run.id, "main" if n else "other", "user", str(n), {"n": n})
    decision = ledger.steps.add_decision(run.id, 0, "analyst", {}, DecisionStatus.ACCEPTED)
    assert ledger.requests.add_message(run.id, "main", "agent", "under way").step == 0
    ledger.steps.close_decision(decision.id, DecisionStatus.CARRIED_OUT, "")
    last = ledger.requests.add_message(run.id, "main", "agent", "over")
    assert last.step == 1
    assert ledger.requests.messages(run.id, "main", last=1) == [last]
    assert [m.text for m in ledger.requests.messages(run.id, "main")] == [
        "1", "2", "3", "under way", "over",
    ]  # fmt: skip
    assert [m.data for m in ledger.requests.messages(run.id, "other")] == [{"n": 0}]


def test_what_is_not_there_is_told(ledger: Ledger) -> None:
    with pytest.raises(ConfigError, match="no run 'x'"):
        ledger.requests.add_wish("x", "ada", {})
    with pytest.raises(ConfigError, match="no run 'x'"):
        ledger.requests.add_message("x", "main", "user", "hello")
    with pytest.raises(VitruviusError, match="no wish 7"):
        ledger.requests.close_wish(7, WishStatus.DONE, "")
    with pytest.raises(ValueError, match="done or refused"):
        ledger.requests.close_wish(7, WishStatus.OPEN, "")


def test_a_ledger_of_the_release_before_is_upgraded(tmp_path: Path) -> None:
    own = Path(ledger_file.__file__).parent / "migrations"
    old = tmp_path / "scripts"
    (old / "versions").mkdir(parents=True)
    for path in (own / "env.py", *sorted((own / "versions").glob("r*.py"))[:3]):
        (old / path.relative_to(own)).write_text(path.read_text())
    file = tmp_path / "ledger.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    ledger_file.upgrade(file, "empty", old)
    rule = json.dumps({"stance": "require", "all": [{"slot": "s", "choices": ["c"]}]})
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(
            "INSERT INTO runs (id, status, created, space_ref, space_id, space_name, task_ref, "
            "task_id, task_name, seed, budget, settings, sources, stop_requested, wall_s, kind) "
            "VALUES ('r', 'done', '2026-01-01', 's', 's', 's', 't', 't', 't', 0, '{}', '{}', '{}', "
            "0, 0, 'search')"
        )
        for number, (author, edit, step) in enumerate(
            (("analyst", "add", 0), ("analyst", "add", 1), ("audit", "add", 5), ("x", "carry", 0))
        ):
            connection.execute(
                "INSERT INTO versions VALUES (?, 1, 'says', ?, 'k', 's', 't', ?, 'r', ?, ?, ?, "
                "'why', '[]', '2026-01-01')",
                (number + 1, rule, author, step, edit, str(number)),
            )
        connection.execute("INSERT INTO marks VALUES ('r', 'verified', 0, '{\"step\": 4}')")
    with Ledger.open(tmp_path) as ledger:
        assert ledger.runs.get("r").forked_from is None
        assert ledger.requests.wishes("r") == []
        assert [v.name for v in ledger.principles.current("r")] == ["P1.1", "P2.1", "P3.1", "P4.1"]
    with closing(sqlite3.connect(file)) as connection:
        rows = connection.execute("SELECT at_step FROM versions ORDER BY principle").fetchall()
    assert rows == [(4,), (None,), (5,), (0,)]
    assert len(list(tmp_path.glob("ledger.db.0003-*.backup"))) == 1
