"""The chat graph with a scripted model behind a real HTTP server: tools, approvals, faults."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import vitruvius as vt
from vitruvius.agents.model.scripted_server import Answer, Body, ScriptedServer, call, fail, say
from vitruvius.errors import ConfigError
from vitruvius.graphs.chat.session import Told
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.ledger.requests import Message, WishStatus
from vitruvius.run.conversation import Talk, left_open

WIDE = {"width": "12", "activation": "relu", "norm": "no"}
Open = Callable[..., Talk]


class Heard(list[Told]):
    """What a door was told."""

    @property
    def pieces(self) -> str:
        return "".join(told.text for told in self if told.kind == "piece")

    def of(self, kind: str) -> list[str]:
        return [told.text for told in self if told.kind == kind]


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def talk(small_run: vt.SearchRun, chat_server: ScriptedServer, heard: Heard) -> Iterator[Open]:
    """Opens a conversation with the scripted model."""
    given = {"model": "scripted", "base_url": chat_server.url, "api_key": "no-key-1234567890"}
    return lambda **more: Talk(small_run, tell=heard.append, **(given | more))


def messages(run: vt.SearchRun, thread: str = "chat-1") -> list[Message]:
    with Ledger.open(run.home) as ledger:
        return ledger.requests.messages(run.id, thread)


def sent(body: Body) -> str:
    return str(body["messages"][1]["content"])


def test_an_answer_is_streamed_and_kept(
    talk: Open, chat_server: ScriptedServer, heard: Heard, small_run: vt.SearchRun
) -> None:
    chat_server.enqueue(say("T6 is the best."))
    with talk() as open_talk:
        assert open_talk.send("which is best?") is None
        assert open_talk.last_words() == "T6 is the best."
    assert heard.pieces.strip() == "T6 is the best."
    assert [(m.role, m.text) for m in messages(small_run)] == [
        ("user", "which is best?"),
        ("agent", "T6 is the best."),
    ]
    (body,) = chat_server.bodies
    assert body["stream"]
    assert {tool["function"]["name"] for tool in body["tools"]} >= {"best", "why", "train", "note"}
    assert body["tool_choice"] == "auto"
    assert "which is best?" in sent(body)


def test_a_tool_is_used_and_its_result_is_read(
    talk: Open, chat_server: ScriptedServer, heard: Heard
) -> None:
    chat_server.enqueue(call("compare", {"first": "T6", "second": "T7"}), say("T6 wins."))
    with talk() as open_talk:
        open_talk.send("T6 or T7?")
    assert heard.of("call") == ["compare first=T6 second=T7"]
    assert "T6 leads by 4.2" in sent(chat_server.bodies[1])
    result = next(t.message for t in heard if t.message and t.message.role == "tool")
    assert result.data["drawing"]["headers"] == ["", "T6", "T7"]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (call("fly", {}), "there is no tool 'fly'"),
        (call("compare", {"first": "T6"}), "second"),
        (call("train", '{"architectures": [{"wid'), "no JSON object"),
        (call("train", {"architectures": [{"width": "green"}]}), "width"),
        (call("principle", {"statement": "Use gold.", "rule": {"stance": "require"}}), "rule"),
        (say(""), "empty"),
    ],
)
def test_a_bad_reply_is_sent_back_with_what_is_wrong(
    talk: Open, chat_server: ScriptedServer, bad: Answer, said: str
) -> None:
    chat_server.enqueue(bad, say("Sorry: T6."))
    with talk() as open_talk:
        open_talk.send("help me")
        assert open_talk.last_words() == "Sorry: T6."
    assert "turned down" in sent(chat_server.bodies[1])
    assert said in sent(chat_server.bodies[1])


def test_a_model_that_never_answers_well_costs_one_sentence(
    talk: Open, chat_server: ScriptedServer
) -> None:
    chat_server.otherwise = lambda body: say("")
    with talk() as open_talk:
        open_talk.send("help me")
        assert "wrote no answer that can be used" in open_talk.last_words()
    assert len(chat_server.bodies) == 3


def test_a_model_that_only_calls_tools_is_made_to_answer(
    talk: Open, chat_server: ScriptedServer
) -> None:
    chat_server.otherwise = lambda body: call("best", {}) if body.get("tools") else say("Enough.")
    with talk() as open_talk:
        open_talk.send("go on")
        assert open_talk.last_words() == "Enough."
    assert len(chat_server.bodies) == 7


def test_a_model_without_tools_writes_its_calls(
    small_run: vt.SearchRun,
) -> None:
    with ScriptedServer(mode="text").running() as server:
        server.enqueue(say('{"tool": "trial", "trial": "T7"}'), say("T7 is no good."))
        settings = {"model": "scripted", "base_url": server.url}
        heard = Heard()
        with Talk(small_run, tell=heard.append, **settings) as talk:
            talk.send("and T7?")
        assert "Answer in words; or" in server.bodies[0]["messages"][0]["content"]
        assert "T7 (architect, seed 0): 8 %" in sent(server.bodies[1])
    assert heard.pieces.strip() == "T7 is no good."  # the call was not shown as words


def test_a_refusal_is_told_to_the_model(
    talk: Open, chat_server: ScriptedServer, small_run: vt.SearchRun
) -> None:
    chat_server.enqueue(call("train", {"architectures": [WIDE]}), say("As you wish."))
    with talk() as open_talk:
        question = open_talk.send("train a wide one")
        assert question is not None
        assert question["call"]["tool"] == "train"
        assert question["price"] == {"seconds": 1.0, "tokens": 0.0, "dollars": 0.0}
        assert open_talk.answer({"approved": False, "reason": "too dear today"}) is None
    assert "the person refused: too dear today" in sent(chat_server.bodies[1])
    with Ledger.open(small_run.home) as ledger:
        assert ledger.requests.wishes(small_run.id) == []
        assert len(ledger.trials.of(small_run.id)) == 9


def test_an_approved_training_is_carried_out_and_told(
    talk: Open, chat_server: ScriptedServer, heard: Heard, small_run: vt.SearchRun
) -> None:
    chat_server.enqueue(call("train", {"architectures": [WIDE]}), say("T10 is worse."))
    with talk() as open_talk:
        open_talk.send("train a wide one")
        assert open_talk.answer({"approved": True}) is None
    result = next(t.message for t in heard if t.message and t.message.role == "tool")
    assert result.text.startswith("Done: T10 ")
    assert "Done: T10" in sent(chat_server.bodies[1])
    assert any("T10" in text for text in heard.of("event"))
    with Ledger.open(small_run.home) as ledger:
        (wish,) = ledger.requests.wishes(small_run.id)
        new = ledger.trials.of(small_run.id)[9:]
        assert ledger.steps.decisions(small_run.id)[-1].author == "user"
    assert wish.status == WishStatus.DONE
    assert [trial.architecture.spec for trial in new] == [WIDE]
    assert small_run.record.status == "interrupted"  # the run is let go of


def test_an_edited_training_trains_what_the_person_wrote(
    talk: Open, chat_server: ScriptedServer, small_run: vt.SearchRun
) -> None:
    chat_server.enqueue(call("train", {"architectures": [WIDE]}), say("Done as you wrote."))
    theirs = {"width": "12", "activation": "tanh", "norm": "yes"}
    with talk() as open_talk:
        open_talk.send("train a wide one")
        edited = {"tool": "train", "architectures": [theirs]}
        assert open_talk.answer({"approved": True, "call": edited}) is None
    with Ledger.open(small_run.home) as ledger:
        new = ledger.trials.of(small_run.id)[9:]
    assert [trial.architecture.spec for trial in new] == [theirs]
    assert "As the person edited it" in sent(chat_server.bodies[1])


def test_a_principle_that_is_taught_is_measured(small_run: vt.SearchRun) -> None:
    asked: list[Any] = []

    def agree(question: Any) -> dict[str, Any]:
        asked.append(question)
        return {"approved": True}

    said = small_run.ask("/teach avoid networks without a norm", ask=agree)
    assert not asked
    assert "names nothing of this space" in said
    said = small_run.ask("/teach norm yes is good", ask=agree)
    assert asked[0]["understood"] == "norm = yes"
    assert said.startswith("Done: P3.1")
    assert "Measured: effect" in small_run.ask("/why P3")
    assert "by user" in small_run.ask("/why P3")
    assert "given up" in small_run.ask("/retire P3")


def test_a_cut_is_undone_and_a_run_is_forked(small_run: vt.SearchRun) -> None:
    said = small_run.ask("/undo 1 narrow ones may do", ask=lambda question: {"approved": True})
    assert said.startswith("Done: cut 1 is undone")
    assert "undone" in small_run.ask("/region")
    forked = small_run.ask("/fork with 30 trials").split()[1]
    assert left_open(vt.open(forked, home=small_run.home)) is None  # its copy of this turn is over
    assert "T6" in vt.open(forked, home=small_run.home).ask("/best")
    assert "cannot read" in small_run.ask("/fork with much")


def test_an_answer_that_is_neither_yes_nor_no_leaves_the_question_open(
    talk: Open, chat_server: ScriptedServer
) -> None:
    chat_server.enqueue(call("train", {"architectures": [WIDE]}), say("Fine."))
    with talk() as open_talk:
        open_talk.send("train a wide one")
        with pytest.raises(ConfigError, match="approved"):
            open_talk.answer({"sure": 1})
        with pytest.raises(vt.ToolError, match="width"):
            open_talk.answer(
                {"approved": True, "call": {"tool": "train", "architectures": [{"width": "7"}]}}
            )
        assert open_talk.answer({"approved": False}) is None


def test_an_open_question_is_asked_again_by_the_next_session(
    talk: Open, chat_server: ScriptedServer, small_run: vt.SearchRun
) -> None:
    chat_server.enqueue(call("train", {"architectures": [WIDE]}), say("All right."))
    with talk() as first:
        question = first.send("train a wide one")
    assert left_open(small_run) == "chat-1"
    with talk(thread="chat-1") as second:
        assert second.take_up() == question
        assert second.answer({"approved": False, "reason": "slept on it"}) is None
        assert second.last_words() == "All right."
    assert left_open(small_run) is None
    assert len(chat_server.bodies) == 2


def test_an_approved_training_that_a_crash_cut_short_is_finished_once(
    small_run: vt.SearchRun,
) -> None:
    def crash(*_: object) -> None:
        raise RuntimeError("the power went")

    with Talk(small_run) as first:
        assert first.send("/train T6 norm=yes activation=relu") is not None
        first._open_talk.session.carry = crash  # type: ignore[assignment]
        with pytest.raises(RuntimeError, match="the power went"):
            first.answer({"approved": True})
    with Ledger.open(small_run.home) as ledger:
        assert [wish.status for wish in ledger.requests.wishes(small_run.id)] == [WishStatus.OPEN]
    with Talk(small_run, left_open(small_run)) as second:
        assert second.take_up() is None
        assert second.last_words().startswith("Done: T10")
        assert second.take_up() is None
    with Ledger.open(small_run.home) as ledger:
        assert [wish.status for wish in ledger.requests.wishes(small_run.id)] == [WishStatus.DONE]
        assert len(ledger.trials.of(small_run.id)) == 10


def test_a_thread_is_open_in_one_process_at_a_time(talk: Open) -> None:
    with talk() as first, pytest.raises(ConfigError, match="open in another process"):
        talk(thread=first.thread).__enter__()


@pytest.mark.parametrize("name", ["../x", ".hidden", "a b", "x" * 41])
def test_a_thread_has_a_plain_name(small_run: vt.SearchRun, name: str) -> None:
    with pytest.raises(ConfigError, match="a thread's name is"):
        Talk(small_run, name)


def test_an_endpoint_that_goes_mid_stream_costs_one_sentence(
    talk: Open, chat_server: ScriptedServer, heard: Heard, small_run: vt.SearchRun
) -> None:
    chat_server.enqueue(say("T6 is the best because", break_after=4), say("T6, I said."))
    with talk() as open_talk:
        assert open_talk.send("which is best?") is None
        said = open_talk.last_words()
        assert said.startswith("T6 is the\n")
        assert said.count("Nothing is lost: ask again") == 1
        open_talk.send("once more?")
        assert open_talk.last_words() == "T6, I said."
    assert "which is best?" in sent(chat_server.bodies[1])
    assert len(chat_server.bodies) == 2  # what was heard is not asked for twice
    assert [m.role for m in messages(small_run)] == ["user", "agent", "user", "agent"]


def test_an_endpoint_that_is_gone_leaves_the_commands(
    small_run: vt.SearchRun,
) -> None:
    settings = {"model": "scripted", "base_url": "http://127.0.0.1:9/v1"}
    with Talk(small_run, **settings) as talk:
        talk._open_talk.session.speaker.voice.pause_s = 0.0  # type: ignore[union-attr]
        talk.send("which is best?")
        assert "cannot be reached" in talk.last_words()
        talk.send("/best")
        assert "T6" in talk.last_words()


def test_a_wrong_key_is_told(talk: Open, chat_server: ScriptedServer) -> None:
    chat_server.mode = None
    chat_server.otherwise = lambda body: fail(401, "bad key")
    with talk() as open_talk:
        open_talk.send("which is best?")
        assert "refuses the key" in open_talk.last_words()


def test_a_conversation_spends_nothing_of_the_run(
    talk: Open, chat_server: ScriptedServer, small_run: vt.SearchRun
) -> None:
    chat_server.enqueue(say("T6."))
    with talk() as open_talk:
        open_talk.send("which is best?")
        open_talk.send("/budget")
        assert "this conversation: tokens" in open_talk.last_words()
    with Ledger.open(small_run.home) as ledger:
        assert {one.chair for one in ledger.steps.calls(small_run.id)} == {"chat"}
        assert ledger.steps.spent(small_run.id).tokens == 0


def test_the_key_is_nowhere(
    talk: Open, chat_server: ScriptedServer, small_run: vt.SearchRun
) -> None:
    chat_server.enqueue(say("the key is no-key-1234567890"))
    with talk() as open_talk:
        open_talk.send("what is my key?")
    for file in Path(small_run.home).rglob("*"):
        if file.is_file():
            assert b"no-key-1234567890" not in file.read_bytes(), file


def test_a_question_is_asked_from_python(
    small_run: vt.SearchRun, chat_server: ScriptedServer
) -> None:
    assert "P1.1" in small_run.ask("why is T6 the best?")
    assert "nobody is there to approve it" in small_run.ask("/train T6 norm=yes activation=relu")
    seen: list[Any] = []

    def refuse(question: Any) -> dict[str, Any]:
        seen.append(question)
        return {"approved": False, "reason": json.dumps(question["call"]["architectures"])}

    assert "16" in small_run.ask("/train T6 norm=yes activation=relu", ask=refuse)
    assert seen[0]["call"]["tool"] == "train"
    chat_server.enqueue(say("It was T6."))
    settings = {"model": "scripted", "base_url": chat_server.url}
    assert small_run.ask("which was it?", **settings) == "It was T6."
    assert "why is T6 the best?" in sent(chat_server.bodies[0])


def test_wishes_wait_for_whoever_drives_the_run(small_run: vt.SearchRun) -> None:
    with Ledger.open(small_run.home) as ledger:
        ledger.runs.claim(small_run.id, "another")
        said = small_run.ask("/note look at width 12")
        assert "Another process drives this run" in said
        (wish,) = ledger.requests.wishes(small_run.id)
        assert (wish.status, wish.written["text"]) == (WishStatus.OPEN, "look at width 12")
        heard = Heard()
        with Talk(small_run, "ask", tell=heard.append) as talk:
            talk.tell_closed()
            assert heard.of("message") == []
            ledger.requests.close_wish(
                wish.id, WishStatus.DONE, "noted"
            )  # as the other process does
            talk.tell_closed()
            talk.tell_closed()
            assert heard.of("message") == [f"Wish {wish.id} (note) is done: noted"]
            talk.send("what helps?")
            assert "P1.1" in talk.last_words()
