"""A model in LAPT's chair: strict operations for every slot, or those of before."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from vitruvius.agents.model.client import ModelClient
from vitruvius.agents.model.endpoint import Endpoint
from vitruvius.agents.model.scripted_server import ScriptedServer, fail, say
from vitruvius.evals.arms.lapt_chair import LaptChair, operations_schema
from vitruvius.spaces.cells.cell import Cell
from vitruvius.spaces.space import Architecture

SPACE = Cell()
GOOD: dict[str, list[str]] = {slot.name: ["nor_conv_3x3", "skip_connect"] for slot in SPACE.slots}


def answer(operations: Any = None, principles: Any = ("Convolve.",)) -> str:
    return json.dumps({"principles": list(principles), "operations": operations or GOOD})


@pytest.fixture
def client(chat_server: ScriptedServer) -> ModelClient:
    endpoint = Endpoint(
        model="scripted", base_url=chat_server.url, api_key="x", retries=0, backoff_s=0.0
    )
    return ModelClient(endpoint)


@pytest.fixture
def top() -> list[Architecture]:
    rng = np.random.default_rng(0)
    return [SPACE.sample(rng) for _ in range(50)]


def test_operations_are_read_and_the_prompt_holds_the_source_alone(
    client: ModelClient, chat_server: ScriptedServer, top: list[Architecture]
) -> None:
    chat_server.enqueue(say(answer()))
    log: list[Any] = []
    allowed = LaptChair(client=client, space=SPACE, most=2, calls=log).learn(top)
    assert allowed == {name: tuple(choices) for name, choices in GOOD.items()}
    (body,) = chat_server.bodies
    sent = body["messages"][1]["content"]
    assert all(str(architecture) in sent for architecture in top)
    assert body["response_format"]["json_schema"]["schema"] == operations_schema(SPACE, 2)
    assert len(log) == 1
    assert log[0].tokens_in > 0


@pytest.mark.parametrize(
    ("operations", "problem"),
    [
        ({**GOOD, "edge_0_1": []}, "slot edge_0_1 has no list"),
        ({**GOOD, "edge_0_1": ["conv_9x9"]}, "has no choice 'conv_9x9'"),
        ({**GOOD, "edge_0_1": [*GOOD["edge_0_1"], "none"]}, "3 operations; at most 2"),
        ({**GOOD, "edge_9_9": ["none"]}, "no slot 'edge_9_9'"),
        ({"edge_0_1": ["none"]}, "slot edge_0_2 has no list"),
    ],
)
def test_what_is_wrong_is_told_and_mended(
    client: ModelClient,
    chat_server: ScriptedServer,
    top: list[Architecture],
    operations: Any,
    problem: str,
) -> None:
    chat_server.enqueue(say(answer(operations)), say(answer()))
    chair = LaptChair(client=client, space=SPACE, most=2)
    assert chair.learn(top)["edge_0_1"] == ("nor_conv_3x3", "skip_connect")
    assert problem in chair.problems[0]
    assert problem in chat_server.bodies[1]["messages"][1]["content"]


def test_a_model_that_never_answers_well_leaves_the_space_as_it_was(
    client: ModelClient, chat_server: ScriptedServer, top: list[Architecture]
) -> None:
    chat_server.otherwise = lambda body: say("I would use convolutions.")
    chair = LaptChair(client=client, space=SPACE, most=2)
    assert chair.learn(top) == {slot.name: slot.names for slot in SPACE.slots}
    assert len(chair.problems) == 3
    chat_server.otherwise = lambda body: say(answer())
    narrow = chair.adapt(top[:5])
    chat_server.otherwise = lambda body: fail(500)
    assert chair.others() == narrow


def test_adapting_rewrites_the_principles_and_others_keeps_them(
    client: ModelClient, chat_server: ScriptedServer, top: list[Architecture]
) -> None:
    chat_server.enqueue(say(answer()), say(answer(principles=["New."])), say(answer()))
    chair = LaptChair(client=client, space=SPACE, most=2)
    chair.learn(top)
    chair.adapt(top[:5])
    assert chair.principles == ["New."]
    chair.others()
    assert chair.principles == ["New."]
    asked: Callable[[int], str] = lambda i: chat_server.bodies[i]["messages"][1]["content"]  # noqa: E731
    assert "Convolve." in asked(1)
    assert "New." in asked(2)
    assert "nor_conv_3x3, skip_connect" in asked(2)
    assert str(top[7]) not in asked(1) + asked(2)


def test_a_server_without_grammars_is_asked_in_words(
    client: ModelClient, chat_server: ScriptedServer, top: list[Architecture]
) -> None:
    chat_server.enqueue(fail(400, "response_format is not supported"))
    chat_server.otherwise = lambda body: say(f"Here it is:\n```json\n{answer()}\n```")
    chair = LaptChair(client=client, space=SPACE, most=2)
    assert chair.learn(top)["edge_2_3"] == ("nor_conv_3x3", "skip_connect")
    assert "response_format" not in chat_server.bodies[1]
