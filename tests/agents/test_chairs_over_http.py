"""The chairs against a real HTTP server on loopback that answers from a script."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from vitruvius.agents.chairs.architect import ModelArchitect
from vitruvius.agents.chairs.create import create_chairs
from vitruvius.agents.chairs.theorist import ModelTheorist
from vitruvius.agents.chairs.view import Proposal, Rewrite, RunView
from vitruvius.agents.model.scripted_server import Answer, ScriptedServer, call, fail, say
from vitruvius.budget import Budget
from vitruvius.errors import ConfigError
from vitruvius.memory.edits import Add
from vitruvius.memory.records import DecisionStatus, Spent
from vitruvius.spaces.rules import Rule
from vitruvius.spaces.space import Architecture
from vitruvius.tools.calls.prune import Prune
from vitruvius.tools.calls.recall import Recall
from vitruvius.tools.calls.train import Train

KEY = "no-look-alike-1234567890"
RECALL = {"reason": "to know", "query": "deep cells"}
GOOD = call("recall", RECALL)
RULE = {"stance": "avoid", "all": [{"slot": "edge_0_3", "choices": ["none"]}]}
ADD = {"edit": "add", "rationale": "T1 to T3", "statement": "Connect directly.", "rule": RULE}


@pytest.fixture
def chairs(
    wishes: Callable[..., Any], stub: Any, monkeypatch: pytest.MonkeyPatch
) -> tuple[ModelArchitect, ModelTheorist]:
    """Both chairs on the scripted server, with quick retries."""
    architect, theorist = create_chairs(wishes(), stub)
    assert isinstance(architect, ModelArchitect)
    assert isinstance(theorist, ModelTheorist)
    hurry(architect, monkeypatch)
    return architect, theorist


def hurry(architect: ModelArchitect, monkeypatch: pytest.MonkeyPatch) -> None:
    async def at_once(seconds: float) -> None:
        waits.append(seconds)

    waits: list[float] = []
    monkeypatch.setattr("vitruvius.agents.model.client.sleep", at_once)
    architect.waits = waits  # type: ignore[attr-defined]


@pytest.fixture
def decide(
    chairs: tuple[ModelArchitect, ModelTheorist], make_view: Callable[..., RunView]
) -> Callable[..., Proposal]:
    return lambda view=None: asyncio.run(chairs[0].decide(view or make_view()))


@pytest.fixture
def rewrite(
    chairs: tuple[ModelArchitect, ModelTheorist], make_view: Callable[..., RunView]
) -> Callable[..., Rewrite]:
    return lambda view=None: asyncio.run(chairs[1].rewrite(view or make_view()))


def train(*architectures: Architecture, **more: Any) -> Answer:
    specs = [architecture.spec for architecture in architectures]
    return call("train", {"reason": "try it", "architectures": specs}, **more)


def statuses(proposal: Proposal | Rewrite) -> list[str]:
    return [down.status.value for down in proposal.turned_down]


def test_a_model_takes_the_chairs_that_it_is_given(wishes: Callable[..., Any], stub: Any) -> None:
    architect, theorist = create_chairs(wishes(model_chairs="theorist"), stub)
    assert architect is stub
    assert isinstance(theorist, ModelTheorist)
    architect, theorist = create_chairs(wishes(model_chairs="architect"), stub)
    assert isinstance(architect, ModelArchitect)
    assert theorist is stub


# Native tool calls


def test_a_native_tool_call_becomes_the_decision(
    chat_server: ScriptedServer, decide: Callable[..., Proposal], cells: list[Architecture]
) -> None:
    chat_server.enqueue(train(cells[20], cells[21]))
    proposal = decide()
    assert isinstance(proposal.decision, Train)
    assert proposal.decision.architectures == [cells[20].spec, cells[21].spec]
    assert (proposal.author, proposal.turned_down) == ("scripted", ())


def test_no_request_ever_names_a_tool_to_choose(
    chat_server: ScriptedServer, decide: Callable[..., Proposal]
) -> None:
    chat_server.enqueue(GOOD)
    decide()
    sent = [*chat_server.bodies, *chat_server.probes]
    assert {body.get("tool_choice", "auto") for body in sent} <= {"auto", "required"}


def test_the_request_streams_with_usage_and_a_limit(
    chat_server: ScriptedServer, decide: Callable[..., Proposal]
) -> None:
    chat_server.enqueue(GOOD)
    proposal = decide()
    (body,) = chat_server.bodies
    assert body["stream"] is True
    assert body["stream_options"] == {"include_usage": True}
    assert body["max_tokens"] > 0
    last = proposal.calls[-1]
    assert (last.tokens_in, last.tokens_out, last.tokens_estimated) == (2000, 20, False)


def test_tools_carry_the_space_and_leave_out_what_cannot_be_used(
    chat_server: ScriptedServer,
    decide: Callable[..., Proposal],
    make_view: Callable[..., RunView],
) -> None:
    chat_server.enqueue(GOOD)
    decide(make_view(proxies=()))
    tools = {tool["function"]["name"]: tool["function"] for tool in chat_server.bodies[0]["tools"]}
    assert set(tools) == {"train", "recall"}  # no proxies, nothing to prune
    one = tools["train"]["parameters"]["properties"]["architectures"]["items"]
    assert one["properties"]["edge_0_3"]["enum"][0] == "none"


# Replies that will not do


FAULTS = {
    "empty": (say(""), "malformed", "empty"),
    "prose": (say("I would train a deep cell."), "malformed", "prose"),
    "broken arguments": (call("recall", '{"query": "dee'), "malformed", "not complete JSON"),
    "cut": (call("recall", '{"query": "dee', finish="length"), "malformed", "cut after 20 tokens"),
    "unknown tool": (call("fly", {"to": "moon"}), "invalid", "no tool 'fly'"),
    "wrong argument": (call("recall", {"question": "deep"}), "invalid", "'query' is missing"),
    "invalid architecture": (
        call("train", {"architectures": [{"edge_0_1": "magic"}]}),
        "invalid",
        "architecture 1 of 1",
    ),
    "cut tool call": (
        fail(500, "Failed to parse tool call arguments as JSON"),
        "malformed",
        "could not read the tool call",
    ),
}


@pytest.mark.parametrize(("bad", "status", "said"), FAULTS.values(), ids=FAULTS)
def test_a_bad_reply_is_answered_with_how_to_mend_it(
    chat_server: ScriptedServer,
    decide: Callable[..., Proposal],
    bad: Answer,
    status: str,
    said: str,
) -> None:
    chat_server.enqueue(bad, GOOD)
    proposal = decide()
    assert isinstance(proposal.decision, Recall)
    assert proposal.author == "scripted"
    (down,) = proposal.turned_down
    assert (down.author, down.status.value) == ("scripted", status)
    assert said in down.problem
    asked = chat_server.bodies[1]["messages"][-1]["content"]
    assert down.problem in asked
    assert len(chat_server.bodies) == 2  # a 500 for a bad call is not sent again as it was


def test_an_error_inside_a_stream_is_a_bad_decision(
    chat_server: ScriptedServer, decide: Callable[..., Proposal]
) -> None:
    error = {"error": {"message": "Failed to parse tool call arguments", "code": 500}}
    chat_server.enqueue(Answer(raw=f"data: {json.dumps(error)}\n\n"), GOOD)
    assert statuses(decide()) == ["malformed"]


def test_the_same_faults_are_found_without_streaming(
    make_view: Callable[..., RunView],
    stub: Any,
    wishes: Callable[..., Any],
) -> None:
    with ScriptedServer(streams=False).running() as server:
        architect, _ = create_chairs(wishes(base_url=server.url), stub)
        server.enqueue(FAULTS["broken arguments"][0], Answer(refusal="I cannot help"), GOOD)
        proposal = asyncio.run(architect.decide(make_view()))
    assert statuses(proposal) == ["malformed", "refused"]
    assert "I cannot help" in proposal.turned_down[1].problem
    assert isinstance(proposal.decision, Recall)
    assert not server.bodies[0]["stream"]


def test_a_repeat_is_a_duplicate_of_a_named_trial(
    chat_server: ScriptedServer, decide: Callable[..., Proposal], cells: list[Architecture]
) -> None:
    chat_server.enqueue(train(cells[0]), train(cells[0]), GOOD)
    proposal = decide()
    assert statuses(proposal) == ["duplicate", "duplicate"]
    assert "T1" in proposal.turned_down[0].problem
    assert "the same reply twice" in chat_server.bodies[2]["messages"][-1]["content"]


def test_what_is_left_out_of_a_decision_is_told(
    chat_server: ScriptedServer, decide: Callable[..., Proposal], cells: list[Architecture]
) -> None:
    chat_server.enqueue(train(cells[0], cells[20]))
    proposal = decide()
    assert isinstance(proposal.decision, Train)
    assert proposal.decision.architectures == [cells[20].spec]
    assert statuses(proposal) == ["duplicate"]


def test_after_two_mends_the_analyst_takes_the_step(
    chat_server: ScriptedServer, decide: Callable[..., Proposal], stub: Any
) -> None:
    chat_server.enqueue(say(""), say("well"), call("fly", {}), GOOD)
    proposal = decide()
    assert proposal.author == "analyst"
    assert isinstance(proposal.decision, Train)
    assert statuses(proposal) == ["malformed", "malformed", "invalid"]
    assert {down.author for down in proposal.turned_down} == {"scripted"}
    assert len(chat_server.bodies) == 3
    assert len(stub.asked) == 1


def test_every_page_is_fresh(chat_server: ScriptedServer, decide: Callable[..., Proposal]) -> None:
    chat_server.enqueue(say("nonsense"), GOOD, GOOD)
    decide()
    decide()
    third = chat_server.bodies[2]["messages"]
    assert [message["role"] for message in third] == ["system", "user"]
    assert "nonsense" not in json.dumps(third)


# Transport


@pytest.mark.parametrize("status", [429, 500, 503])
def test_rate_limits_and_server_errors_are_tried_again(
    chat_server: ScriptedServer, decide: Callable[..., Proposal], status: int
) -> None:
    chat_server.enqueue(fail(status), fail(status), GOOD)
    proposal = decide()
    assert isinstance(proposal.decision, Recall)
    assert proposal.turned_down == ()
    errors = [call.error for call in proposal.calls if call.chair == "architect"]
    assert [bool(error) for error in errors] == [True, True, False]
    assert f"HTTP {status}" in str(errors[0])


def test_retry_after_is_kept_to(
    chat_server: ScriptedServer,
    decide: Callable[..., Proposal],
    chairs: tuple[Any, Any],
) -> None:
    chat_server.enqueue(fail(429, headers={"Retry-After": "7"}), fail(429), GOOD)
    decide()
    assert chairs[0].waits == [7.0, 2.0]


def test_a_server_that_stays_down_leaves_the_step_to_the_analyst(
    chat_server: ScriptedServer, decide: Callable[..., Proposal]
) -> None:
    proposal = decide()  # the empty script answers 503
    assert proposal.author == "analyst"
    assert statuses(proposal) == ["refused"]
    assert "HTTP 503" in proposal.turned_down[0].problem
    assert len(chat_server.bodies) == 3
    decide()  # it was down a moment ago: one try
    assert len(chat_server.bodies) == 4
    chat_server.enqueue(GOOD)
    assert decide().author == "scripted"


def test_silence_ends_in_time(
    wishes: Callable[..., Any],
    chat_server: ScriptedServer,
    make_view: Callable[..., RunView],
    stub: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    architect, _ = create_chairs(wishes(model_timeout_s=0.3), stub)
    hurry(architect, monkeypatch)  # type: ignore[arg-type]
    chat_server.enqueue(*[Answer(hang_s=20)] * 3)
    started = time.monotonic()
    proposal = asyncio.run(architect.decide(make_view()))
    assert time.monotonic() - started < 5
    assert proposal.author == "analyst"
    assert "did not answer in time" in proposal.turned_down[0].problem


def test_a_refused_connection_leaves_the_step_to_the_analyst(
    wishes: Callable[..., Any],
    make_view: Callable[..., RunView],
    stub: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    architect, _ = create_chairs(wishes(base_url="http://127.0.0.1:9/v1"), stub)
    hurry(architect, monkeypatch)  # type: ignore[arg-type]
    proposal = asyncio.run(architect.decide(make_view()))
    assert proposal.author == "analyst"
    assert "cannot be reached" in proposal.turned_down[0].problem


@pytest.mark.parametrize(
    "odd",
    [
        Answer(raw="<html>Welcome to the proxy</html>"),
        Answer(raw="{"),
        Answer(raw='{"choices": null}'),
        Answer(text="half an answer", break_after=2),
    ],
    ids=["html", "broken JSON", "null choices", "a stream that breaks"],
)
def test_what_is_no_chat_completion_does_no_harm(
    chat_server: ScriptedServer, decide: Callable[..., Proposal], odd: Answer
) -> None:
    chat_server.enqueue(odd, odd, odd, odd)
    assert decide().author == "analyst"


@pytest.mark.parametrize(
    ("status", "error", "said"),
    [
        (401, f"Incorrect API key provided: {KEY}", "refuses the key"),
        (403, "no access", "refuses the key"),
        (404, "The model `scripted` does not exist", "has no model 'scripted'"),
    ],
)
def test_a_wrong_key_or_model_stops_the_run_with_a_sentence(
    chat_server: ScriptedServer,
    decide: Callable[..., Proposal],
    status: int,
    error: str,
    said: str,
) -> None:
    chat_server.enqueue(fail(status, error))
    with pytest.raises(ConfigError, match=said) as caught:
        decide()
    assert KEY not in str(caught.value)
    assert len(chat_server.bodies) == 1


def test_a_full_context_halves_the_page(
    chat_server: ScriptedServer,
    decide: Callable[..., Proposal],
    make_view: Callable[..., RunView],
) -> None:
    full = fail(400, "the request exceeds the available context size")
    chat_server.enqueue(full, GOOD, GOOD)
    view = make_view(40)
    assert decide(view).turned_down == ()
    first, second = (len(body["messages"][-1]["content"]) for body in chat_server.bodies)
    assert second < first
    decide(view)
    assert len(chat_server.bodies) == 3  # it remembers


# Account


def test_every_attempt_is_a_call_and_none_holds_the_key(
    chat_server: ScriptedServer, decide: Callable[..., Proposal]
) -> None:
    chat_server.enqueue(fail(429, f"slow down, {KEY}"), say(f"my key is {KEY}"), GOOD)
    proposal = decide()
    assert len([call for call in proposal.calls if call.chair == "architect"]) == 3
    assert KEY not in repr(proposal)
    assert all(header["authorization"] == f"Bearer {KEY}" for header in chat_server.headers)


def test_without_usage_tokens_are_estimated_and_marked(
    chat_server: ScriptedServer, decide: Callable[..., Proposal]
) -> None:
    chat_server.enqueue(call("recall", RECALL, usage=None))
    last = decide().calls[-1]
    assert last.tokens_estimated
    assert last.tokens_in >= len(last.prompt) // 4


def test_the_price_in_the_home_folder_is_charged(
    chat_server: ScriptedServer,
    wishes: Callable[..., Any],
    stub: Any,
    make_view: Callable[..., RunView],
    tmp_path: Any,
) -> None:
    (tmp_path / "prices.toml").write_text("[scripted]\ninput = 10.0\noutput = 100.0\n")
    architect, _ = create_chairs(wishes(home=tmp_path), stub)
    chat_server.enqueue(GOOD)
    proposal = asyncio.run(architect.decide(make_view()))
    assert proposal.calls[-1].dollars == pytest.approx(2000 * 10e-6 + 20 * 100e-6)


def test_a_spent_token_budget_asks_no_model(
    chat_server: ScriptedServer,
    decide: Callable[..., Proposal],
    make_view: Callable[..., RunView],
) -> None:
    view = make_view(
        budget=Budget(tokens=5000), spent=Spent(trials=6, wall_s=1.0, tokens=4900, dollars=0.0)
    )
    proposal = decide(view)
    assert proposal.author == "analyst"
    assert statuses(proposal) == [DecisionStatus.OVER_BUDGET]
    assert chat_server.bodies == []


def test_a_reply_may_be_no_longer_than_the_budget_covers(
    chat_server: ScriptedServer,
    decide: Callable[..., Proposal],
    make_view: Callable[..., RunView],
) -> None:
    chat_server.enqueue(GOOD)
    spent = Spent(trials=6, wall_s=1.0, tokens=0, dollars=0.0)
    proposal = decide(make_view(budget=Budget(tokens=9000), spent=spent))
    assert proposal.author == "scripted"
    (body,) = chat_server.bodies
    assert 200 <= body["max_tokens"] < 4096


# Modes without native tools


@pytest.mark.parametrize("mode", ["json_schema", "text"])
def test_a_server_without_tools_is_asked_in_another_form(
    mode: Any,
    wishes: Callable[..., Any],
    stub: Any,
    make_view: Callable[..., RunView],
    cells: list[Architecture],
) -> None:
    with ScriptedServer(mode).running() as server:
        architect, _ = create_chairs(wishes(base_url=server.url), stub)
        specs = [cells[20].spec]
        data = {"decision": {"tool": "train", "reason": "try", "architectures": specs}}
        server.enqueue(say(f"<tool_call>{json.dumps(data)}</tool_call>"))
        proposal = asyncio.run(architect.decide(make_view()))
        server.enqueue(say(json.dumps(data)))
        asyncio.run(architect.decide(make_view()))
    assert isinstance(proposal.decision, Train)
    assert proposal.decision.architectures == specs
    body = server.bodies[0]
    assert "tools" not in body
    assert ("response_format" in body) is (mode == "json_schema")
    assert "train" in body["messages"][0]["content"]
    assert len(server.probes) == 4  # found out once: tools twice, schema, stream


# The theorist


def test_edits_come_from_one_native_call(
    chat_server: ScriptedServer, rewrite: Callable[..., Rewrite]
) -> None:
    chat_server.enqueue(call("rewrite", {"edits": [ADD]}))
    result = rewrite()
    assert result.edits == (
        Add(rationale="T1 to T3", statement="Connect directly.", rule=Rule(**RULE)),
    )
    assert result.author == "scripted"


@pytest.mark.parametrize(
    "answer",
    [
        say(json.dumps({"edits": [ADD]})),
        say(f"```json\n{json.dumps([ADD])}\n```"),
        say(json.dumps(ADD)),
        call("add", {key: value for key, value in ADD.items() if key != "edit"}),
    ],
    ids=["object", "list", "bare edit", "edit as a tool"],
)
def test_edits_in_other_forms_are_read(
    chat_server: ScriptedServer, rewrite: Callable[..., Rewrite], answer: Answer
) -> None:
    chat_server.enqueue(answer)
    result = rewrite()
    assert [edit.edit for edit in result.edits] == ["add"]
    assert result.turned_down == ()


@pytest.mark.parametrize("answer", [call("rewrite", {"edits": []}), say('{"edits": []}')])
def test_no_edit_is_a_fine_answer(
    chat_server: ScriptedServer, rewrite: Callable[..., Rewrite], answer: Answer, stub: Any
) -> None:
    chat_server.enqueue(answer)
    assert rewrite().edits == ()
    assert stub.asked == []


def test_good_edits_survive_beside_bad_ones(
    chat_server: ScriptedServer, rewrite: Callable[..., Rewrite]
) -> None:
    bad = {"edit": "retire", "principle": "P9", "rationale": "wrong"}
    chat_server.enqueue(*[call("rewrite", {"edits": [bad, ADD]})] * 3)
    result = rewrite()
    assert [edit.edit for edit in result.edits] == ["add"]
    assert statuses(result) == ["invalid"] * 3
    assert "edit 1 of 2" in result.turned_down[0].problem


def test_the_analyst_rewrites_where_the_model_cannot(
    chat_server: ScriptedServer, rewrite: Callable[..., Rewrite], stub: Any
) -> None:
    chat_server.enqueue(say("none"), say(""), say("{}"))
    result = rewrite()
    assert result.author == "analyst"
    assert statuses(result) == ["malformed"] * 3
    assert len(stub.asked) == 1


def test_a_principle_can_be_cut_by(
    chat_server: ScriptedServer,
    decide: Callable[..., Proposal],
    make_view: Callable[..., RunView],
    make_principle: Callable[..., Any],
) -> None:
    chat_server.enqueue(call("prune", {"reason": "it holds", "action": "cut", "principle": "P1"}))
    view = make_view(principles=(make_principle(1, Rule(**RULE)),))
    assert isinstance(decide(view).decision, Prune)


def test_nothing_in_a_step_blocks_the_event_loop(
    chat_server: ScriptedServer,
    chairs: tuple[ModelArchitect, ModelTheorist],
    make_view: Callable[..., RunView],
) -> None:
    from blockbuster import blockbuster_ctx

    async def step() -> None:
        view = make_view(40)
        await chairs[0].decide(view)
        await chairs[1].rewrite(view)

    chat_server.enqueue(fail(429), say(""), GOOD, call("rewrite", {"edits": [ADD]}))
    with blockbuster_ctx():
        asyncio.run(step())
    assert len(chat_server.bodies) == 4
