"""A long conversation: prompts stay under the budget, checkpoints grow no faster than messages."""

import sqlite3
from pathlib import Path

import pytest

import vitruvius as vt
from vitruvius.agents.chat.prompt import ASK, render_page
from vitruvius.agents.model.scripted_server import Body, ScriptedServer, call, say
from vitruvius.agents.model.tokens import TokenCounter
from vitruvius.graphs.drive.driver import KEPT_CHECKPOINTS
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.run.conversation import Talk
from vitruvius.tools.questions.book import Book

BUDGET = 3000


def chatty(body: Body) -> object:
    """Uses a tool at every third question, and talks at length."""
    asked = str(body["messages"][1]["content"]).rsplit("Person: ", 1)[-1]
    if "Result of" not in asked and int(asked.split()[1]) % 3 == 0:
        return call("trials", {"limit": 9})
    return say("As T6 shows, width matters most. " * 12)


def stored(home: Path) -> tuple[int, int]:
    """Returns how many checkpoints there are, and the bytes of them and their writes."""
    with sqlite3.connect(home / "checkpoints.db") as connection:
        sizes = "SELECT count(*), coalesce(sum(length(checkpoint) + length(metadata)), 0)"
        count, size = connection.execute(f"{sizes} FROM checkpoints").fetchone()
        (writes,) = connection.execute(
            "SELECT coalesce(sum(length(value)), 0) FROM writes"
        ).fetchone()
    connection.close()
    return count, size + writes


def converse(run: vt.SearchRun, turns: int, every: int) -> list[tuple[int, int]]:
    """Holds a conversation; returns what is stored after every so many turns."""
    sizes = []
    with ScriptedServer().running() as server:
        server.otherwise = chatty  # type: ignore[assignment]
        settings = {"model": "scripted", "base_url": server.url, "prompt_tokens": BUDGET}
        with Talk(run, **settings) as talk:
            count = talk._open_talk.session.speaker.voice.client.counter.count  # type: ignore[union-attr]
            for turn in range(turns):
                assert talk.send(f"question {turn} about the run, at some length " * 3) is None
                if (turn + 1) % every == 0:
                    sizes.append(stored(run.home))
        bodies = server.bodies
    for body in bodies:
        said = "\n\n".join(str(message["content"]) for message in body["messages"])
        assert count(said + str(body["tools"])) <= BUDGET * 1.05
    assert len(bodies) > turns
    return sizes


def test_a_short_conversation_stays_within_its_budget(small_run: vt.SearchRun) -> None:
    ((count, _),) = converse(small_run, 4, every=4)
    assert count <= KEPT_CHECKPOINTS


@pytest.mark.slow
def test_two_hundred_turns_stay_within_the_budget_and_checkpoints_do_not_pile_up(
    small_run: vt.SearchRun,
) -> None:
    sizes = converse(small_run, 200, every=50)
    assert all(count <= KEPT_CHECKPOINTS for count, _ in sizes)
    first, *_, last = (size for _, size in sizes)
    assert last < 1.2 * first  # ids alone: bounded, where linear would do
    with Ledger.open(small_run.home) as ledger:
        messages = ledger.requests.messages(small_run.id, "chat-1")
    assert sum(message.role == "user" for message in messages) == 200


def test_what_does_not_fit_on_a_page_is_counted(small_run: vt.SearchRun) -> None:
    with Ledger.open(small_run.home) as ledger:
        for turn in range(200):
            ledger.requests.add_message(small_run.id, "t", "user", f"question {turn} " * 20)
            ledger.requests.add_message(small_run.id, "t", "agent", f"answer {turn} " * 40)
        ledger.requests.add_message(small_run.id, "t", "user", "and now?")
        ledger.requests.add_message(small_run.id, "t", "agent", "", {"calls": [{"tool": "best"}]})
        ledger.requests.add_message(small_run.id, "t", "tool", "T6 " * 3000, {"tool": "best"})
        book = Book(ledger=ledger, run_id=small_run.id, space=small_run.space, task=small_run.task)
        messages = ledger.requests.messages(small_run.id, "t")
        count = TokenCounter("scripted").count
        for budget in (600, 1000, 4000, 8000):
            page = render_page(book, messages, ASK, count=count, budget=budget)
            assert count(page) <= budget
            assert "and now?" in page
        assert "earlier messages are left out" in page
        assert "answer 199" in page
        assert "question 3 " not in page
