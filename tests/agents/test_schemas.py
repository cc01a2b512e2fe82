import json
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema
import numpy as np
import pytest

from vitruvius.agents.chairs.constraints import context_of
from vitruvius.agents.chairs.view import RunView
from vitruvius.agents.model.schemas import (
    decision_union,
    edits_union,
    in_words,
    native_tools,
)
from vitruvius.memory.decisions import Decision
from vitruvius.memory.records import DecisionStatus
from vitruvius.spaces.region import Cut
from vitruvius.spaces.registry import load_space
from vitruvius.spaces.rules import Rule, SlotCondition
from vitruvius.tools.calls.edits import check_edit, read_edit
from vitruvius.tools.calls.registry import offers, read_decision

MakeView = Callable[..., RunView]
RULE = Rule(stance="avoid", all=(SlotCondition(slot="edge_0_3", choices=("none",)),))


@pytest.fixture
def full(make_view: MakeView, make_principle: Any) -> RunView:
    """A view in which every tool and edit can be used."""
    cut = Cut(number=3, rule=RULE, principle="P1.1", reason="r")
    other = Rule(stance="require", all=(SlotCondition(slot="edge_0_1", choices=("none",)),))
    return make_view(cuts=(cut,), principles=(make_principle(1, RULE), make_principle(2, other)))


def instances(schema: dict[str, Any], rng: np.random.Generator) -> Any:
    """Draws data that a schema allows: what a grammar-constrained server may write."""
    if "anyOf" in schema:
        return instances(schema["anyOf"][rng.integers(len(schema["anyOf"]))], rng)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][rng.integers(len(schema["enum"]))]
    match schema["type"]:
        case "object":
            return {
                name: instances(inner, rng)
                for name, inner in schema["properties"].items()
                if name in schema["required"] or rng.random() < 0.5
            }
        case "array":
            size = rng.integers(schema["minItems"], schema["maxItems"] + 1)
            return [instances(schema["items"], rng) for _ in range(size)]
        case "number":
            return float(rng.integers(-2, 3))
        case "string":
            return "words" * int(rng.integers(1, 5))
    raise AssertionError(schema)


@pytest.mark.parametrize("ref", ["nb201", "macro"])
def test_what_the_schema_allows_can_be_read(ref: str, full: RunView, make_view: MakeView) -> None:
    rng = np.random.default_rng(0)
    view = full if ref == "nb201" else make_view(0, space=load_space(ref), proxies=())
    ground = context_of(view)
    decisions, edits = decision_union(ground), edits_union(ground)
    jsonschema.Draft202012Validator.check_schema(decisions)
    for _ in range(150):
        read_decision(instances(decisions, rng)["decision"])
        for edit in instances(edits, rng)["edits"]:
            read_edit(edit)


def test_architectures_and_rules_that_the_schema_allows_are_legal(full: RunView) -> None:
    rng = np.random.default_rng(1)
    ground = context_of(full)
    train = offers(ground)["train"][1]["properties"]["architectures"]["items"]
    rule = edits_union(ground)["properties"]["edits"]["items"]["anyOf"][0]["properties"]["rule"]
    for _ in range(100):
        full.space.parse(instances(train, rng))
        add = {
            "edit": "add",
            "rationale": "seen",
            "statement": "it is so",
            "rule": instances(rule, rng),
        }
        read_edit(add)
    fine = {
        "edit": "add",
        "rationale": "seen",
        "statement": "it is so",
        "rule": instances(rule, rng),
    }
    check_edit(read_edit(fine), ground)


def parts(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
        for inner in schema.values():
            yield from parts(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from parts(inner)


def test_schemas_are_flat_closed_objects_at_the_root(full: RunView) -> None:
    ground = context_of(full)
    tools = native_tools(offers(ground))
    roots = [tool["function"]["parameters"] for tool in tools]
    for schema in (*roots, decision_union(ground), edits_union(ground)):
        assert schema["type"] == "object"
        for part in parts(schema):
            assert "$ref" not in part
            if part.get("type") == "object":
                assert part["additionalProperties"] is False


def test_the_end_of_the_budget_narrows_train(make_view: MakeView) -> None:
    from vitruvius.budget import Budget
    from vitruvius.memory.records import Spent

    spent = Spent(trials=39, wall_s=0, tokens=0, dollars=0)
    schemas = offers(context_of(make_view(budget=Budget(trials=40), spent=spent)))
    assert schemas["train"][1]["properties"]["architectures"]["maxItems"] == 1
    spent = Spent(trials=40, wall_s=0, tokens=0, dollars=0)
    assert "train" not in offers(context_of(make_view(budget=Budget(trials=40), spent=spent)))


def test_the_words_are_json_that_shows_the_choices(full: RunView) -> None:
    text = in_words(offers(context_of(full)), "tool")
    for line in text.splitlines()[1::2]:
        assert json.loads(line)["tool"] in ("train", "proxy", "recall", "prune")
    assert "none|skip_connect|nor_conv_1x1" in text


def test_the_ground_knows_what_was_asked_and_answered(make_view: MakeView) -> None:
    call = {"tool": "recall", "query": "deep cells", "reason": ""}
    asked = Decision(
        id=1, run_id="R", step=5, author="x", written=call,
        status=DecisionStatus.CARRIED_OUT, outcome="2 principles",
    )  # fmt: skip
    odd = Decision(
        id=2, run_id="R", step=6, author="x", written={"text": "?"},
        status=DecisionStatus.MALFORMED, outcome="prose",
    )  # fmt: skip
    ground = context_of(make_view(decisions=(asked, odd)))
    assert list(ground.asked.values()) == ["step 5: 2 principles"]
    with pytest.raises(Exception, match="2 principles"):
        read_decision(call).check(ground)
