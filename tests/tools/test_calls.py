import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitruvius.memory.edits import Add, Retire
from vitruvius.memory.records import DecisionStatus
from vitruvius.spaces.cells.cell import Cell
from vitruvius.spaces.region import Cut, Region
from vitruvius.spaces.rules import Rule, SlotCondition
from vitruvius.spaces.space import Architecture
from vitruvius.tools.calls.edits import check_edit, read_edit
from vitruvius.tools.calls.registry import read_decision
from vitruvius.tools.calls.schemas import Problem
from vitruvius.tools.calls.tool import ProposalContext, question_key
from vitruvius.tools.calls.train import Train

SPACE = Cell()
RNG = np.random.default_rng(3)
A, B, C = list(dict.fromkeys(SPACE.sample(RNG) for _ in range(20)))[:3]
RULE = Rule(stance="avoid", all=(SlotCondition(slot="edge_0_3", choices=("none",)),))
OTHER = Rule(stance="require", all=(SlotCondition(slot="edge_0_1", choices=("nor_conv_3x3",)),))


def ground(**more: Any) -> ProposalContext:
    given: dict[str, Any] = {
        "space": SPACE,
        "region": Region(SPACE),
        "evaluated": {A: "T17"},
        "k": 2,
        "trials_left": 5,
        "proxies": ("params", "naswot"),
        "principles": {"P1": RULE, "P2": OTHER},
        "cuts": {4: "P2"},
    }
    return ProposalContext(**(given | more))


def problem(data: Any, **more: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        read_decision(data).check(ground(**more))
    return caught.value


def train(*architectures: Architecture) -> dict[str, Any]:
    return {"tool": "train", "architectures": [a.spec for a in architectures]}


def test_a_new_architecture_passes_and_is_parsed() -> None:
    checked = read_decision(train(B)).check(ground())
    assert checked.architectures == (B,)
    assert checked.left_out is None


def test_a_twin_is_stored_in_its_canonical_form() -> None:
    twin = {name: "none" for name in B.spec} | {"edge_0_1": "skip_connect"}  # a dead end
    checked = read_decision({"tool": "train", "architectures": [twin]}).check(ground())
    assert isinstance(checked.decision, Train)
    assert checked.decision.architectures == [SPACE.parse(twin).spec] != [twin]


def test_only_repeats_are_a_duplicate_of_a_named_trial() -> None:
    found = problem(train(A))
    assert found.status == DecisionStatus.DUPLICATE
    assert "T17" in found.sentence


def test_repeats_beside_new_ones_are_left_out_and_named() -> None:
    checked = read_decision(train(A, B)).check(ground())
    assert checked.architectures == (B,)
    assert checked.left_out is not None
    assert "T17" in checked.left_out


def test_the_same_architecture_twice_counts_once() -> None:
    assert read_decision(train(B, B)).check(ground()).architectures == (B,)


def test_outside_the_region_names_the_cut() -> None:
    inside = Region(SPACE, (Cut(number=3, rule=RULE, principle="P1.2", reason="r"),))
    outside = SPACE.parse(dict.fromkeys(B.spec, "nor_conv_3x3") | {"edge_0_3": "none"})
    found = problem(train(outside), region=inside, evaluated={})
    assert found.status == DecisionStatus.INVALID
    assert "cut 3 by P1.2" in found.sentence


@pytest.mark.parametrize(
    ("data", "more", "status", "said"),
    [
        ({"tool": "fly"}, {}, "invalid", "no tool 'fly'.*train, proxy, recall, audit, prune"),
        ({"query": "x"}, {}, "invalid", "no tool None"),
        ([1], {}, "invalid", "expected one JSON object"),
        ({"tool": "train"}, {}, "invalid", "'architectures' is missing"),
        (train(B) | {"colour": "red"}, {}, "invalid", "no argument 'colour'"),
        ({"tool": "train", "architectures": []}, {}, "invalid", "at least 1 item"),
        ({"tool": "train", "architectures": ["x"]}, {}, "invalid", "valid dict.*got 'x'"),
        ({"tool": "train", "architectures": [{"edge_9": "a"}]}, {}, "invalid", "architecture 1 of"),
        (train(B, C), {"k": 1}, "invalid", "at most 1 at once"),
        (train(B, C), {"trials_left": 1}, "over_budget", "1 trials left"),
        ({"tool": "recall", "query": "?"}, {}, "invalid", "at least 3 char"),
        ({"tool": "prune", "action": "burn"}, {}, "invalid", "'cut' or 'undo', got 'burn'"),
        ({"tool": "prune", "action": "cut"}, {}, "invalid", "no principle None.*P1, P2"),
        ({"tool": "prune", "action": "cut", "principle": "P9"}, {}, "invalid", "P1, P2"),
        ({"tool": "prune", "action": "cut", "principle": "P2.3"}, {}, "duplicate", "cut 4 by P2"),
        ({"tool": "prune", "action": "undo", "cut": 9}, {}, "invalid", "in force: 4"),
        ({"tool": "prune", "action": "undo", "cut": 9}, {"cuts": {}}, "invalid", "in force: none"),
        ({"tool": "proxy", "architectures": [B.spec], "proxies": ["luck"]}, {}, "invalid",
         "no proxy 'luck'.*params, naswot"),
        ({"tool": "proxy", "architectures": [B.spec], "proxies": ["params"]}, {"proxies": ()},
         "invalid", "no proxies"),
    ],
)  # fmt: skip
def test_every_fault_gets_its_status_and_a_sentence_that_mends(
    data: Any, more: dict[str, Any], status: str, said: str
) -> None:
    with pytest.raises(Problem, match=said) as caught:
        read_decision(data).check(ground(**more))
    assert caught.value.status == status


def test_a_question_asked_before_is_a_duplicate_with_its_answer() -> None:
    asked = read_decision({"tool": "recall", "query": "deep cells", "reason": "one"})
    again = {"tool": "recall", "query": "deep cells", "reason": "another"}
    found = problem(again, asked={question_key(asked): "step 3: nothing found"})
    assert found.status == DecisionStatus.DUPLICATE
    assert "step 3: nothing found" in found.sentence


@pytest.mark.parametrize(
    "action", [{"action": "cut", "principle": "P1"}, {"action": "undo", "cut": 4}]
)
def test_a_cut_by_a_known_principle_and_an_undo_pass(action: dict[str, Any]) -> None:
    decision = read_decision({"tool": "prune", **action})
    assert decision.check(ground()).decision == decision


def test_lists_sent_as_text_and_nulls_are_forgiven() -> None:
    data = {"tool": "prune", "action": "cut", "principle": "P1", "cut": None}
    assert read_decision(data)
    text = json.dumps([B.spec])
    assert read_decision({"tool": "train", "architectures": text}) == read_decision(train(B))
    assert read_decision({"tool": "train", "architectures": B.spec}) == read_decision(train(B))


EDIT = {"edit": "add", "rationale": "seen in T3", "statement": "No direct connection."}


@pytest.mark.parametrize(
    ("data", "status", "said"),
    [
        ({"edit": "burn"}, "invalid", "no edit 'burn'.*add, revise, narrow, merge, retire"),
        (EDIT, "invalid", "'rule' is missing"),
        (EDIT | {"rule": {"stance": "avoid", "all": []}}, "invalid", "rule.all.*at least 1"),
        (EDIT | {"rule": {"stance": "avoid", "all": [{"slot": "edge_0_9", "choices": ["none"]}]}},
         "invalid", "no slot 'edge_0_9'; it has: edge_0_1"),
        (EDIT | {"rule": {"stance": "avoid", "all": [{"feature": "luck", "trend": "up"}]}},
         "invalid", "no feature 'luck'"),
        (EDIT | {"rule": RULE.model_dump(exclude_none=True)}, "duplicate", "P1 holds the same"),
        (EDIT | {"rule": {"stance": "require", "all": [
            {"slot": "edge_0_1", "choices": list(SPACE.slots[0].names)}]}},
         "invalid", "says nothing: every architecture"),
        (EDIT | {"rule": {"stance": "require", "all": [{"feature": "depth", "at_least": 9}]}},
         "invalid", "says nothing: no architecture"),
        ({"edit": "retire", "principle": "P9", "rationale": "wrong"}, "invalid", "no principle P9"),
        ({"edit": "retire", "principle": "nine", "rationale": "wrong"}, "invalid", "match pattern"),
    ],
)  # fmt: skip
def test_every_faulty_edit_gets_its_status_and_sentence(data: Any, status: str, said: str) -> None:
    with pytest.raises(Problem, match=said) as caught:
        check_edit(read_edit(data), ground())
    assert caught.value.status == status


def test_good_edits_pass() -> None:
    rule = Rule(stance="require", all=(SlotCondition(slot="edge_2_3", choices=("skip_connect",)),))
    for edit in (
        Add(rationale="seen", statement="Skips help.", rule=rule),
        Retire(rationale="wrong", principle="P1"),
    ):
        assert check_edit(edit, ground()) is edit


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=10,
)
FIELDS = st.sampled_from(
    ["tool", "edit", "architectures", "proxies", "query", "action", "principle", "cut", "rule"]
)
WORDS = st.sampled_from(["train", "proxy", "recall", "prune", "add", "merge", "cut", "undo", "P1"])


@settings(max_examples=300, deadline=None)
@given(JSON | st.dictionaries(FIELDS, WORDS | JSON | st.just([B.spec]), max_size=6))
def test_untrusted_data_raises_problems_and_nothing_else(data: Any) -> None:
    sentences = [
        _sentence(data, read_decision, lambda asked, facts: asked.check(facts)),
        _sentence(data, read_edit, check_edit),
    ]
    assert all(0 < len(sentence) < 1500 for sentence in sentences)


def _sentence(data: Any, read: Callable[..., Any], judge: Callable[..., Any]) -> str:
    try:
        judge(read(data), ground())
    except Problem as found:
        return found.sentence
    return "passed"
