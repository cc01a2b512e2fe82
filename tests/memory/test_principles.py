"""Edits: versions that never change, lineage, and sentences that mend."""

from collections.abc import Callable
from typing import Any

import pytest

from vitruvius.errors import ToolError
from vitruvius.memory.edits import Add, Edit, Merge, Narrow, Retire, Revise
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.ledger.principle_edits import is_narrower
from vitruvius.memory.records import Adoption, Evidence, PrincipleVersion, Run
from vitruvius.spaces.rules import RangeCondition, Rule, SlotCondition, TrendCondition

NewRun = Callable[..., Run]
MakeRule = Callable[..., Rule]
CONV = SlotCondition(slot="edge_0_1", choices=("conv",))
CONV_OR_SKIP = SlotCondition(slot="edge_0_1", choices=("skip", "conv"))
DEEP = RangeCondition(feature="depth", at_least=2)
DEEPER = RangeCondition(feature="depth", at_least=3, at_most=8)
WIDE = TrendCondition(feature="width", trend="up")


def apply(ledger: Ledger, run: Run | None, step: int, edit: Edit, **where: Any) -> PrincipleVersion:
    return ledger.principles.apply_edit(
        run.id if run else None,
        where.get("task", "mnist1d"),
        where.get("space", "nb201"),
        step,
        where.get("author", "analyst"),
        edit,
    )


def add(rule: Rule, statement: str = "use it") -> Add:
    return Add(rationale="the trials say so", statement=statement, rule=rule)


def test_an_add_keeps_all_that_it_says(ledger: Ledger, new_run: NewRun, rule: MakeRule) -> None:
    run, one = new_run(ledger), rule(("edge_0_1", "conv"))
    made = apply(ledger, run, 3, add(one, "convolve\n  at once"))
    assert made.name == "P1.1"
    assert made.statement == "convolve at once"
    assert (made.rule, made.space_name, made.task_name) == (one, "nb201", "mnist1d")
    assert (made.author, made.run_id, made.step, made.edit) == ("analyst", run.id, 3, "add")
    assert made.parents == ()
    assert ledger.principles.versions("P1") == ledger.principles.current(run.id) == [made]
    assert ledger.principles.version("P1.1") == made


def test_revisions_keep_their_history(ledger: Ledger, new_run: NewRun, rule: MakeRule) -> None:
    run = new_run(ledger)
    first = apply(ledger, run, 1, add(rule(("a", "conv"))))
    revise = Revise(
        rationale="better", principle="P1", statement="use that", rule=rule(("b", "conv"))
    )
    second = apply(ledger, run, 2, revise)
    assert (second.name, second.parents) == ("P1.2", ("P1.1",))
    assert ledger.principles.versions(1) == [first, second]
    assert ledger.principles.current(run.id) == [second]


def test_the_same_rule_is_refused_and_its_holder_named(
    ledger: Ledger, new_run: NewRun, rule: MakeRule
) -> None:
    run = new_run(ledger)
    apply(ledger, run, 1, add(rule(("a", "conv"), ("b", "conv"))))
    apply(ledger, run, 1, add(rule(("c", "conv"))))
    same = rule(("b", "conv"), ("a", "conv"))
    sentence = "^P1 already holds this rule; revise or narrow P1 instead$"
    with pytest.raises(ToolError, match=sentence):
        apply(ledger, run, 2, add(same))
    with pytest.raises(ToolError, match=sentence):
        apply(ledger, run, 2, Revise(rationale="why", principle="P2", statement="x y", rule=same))
    assert apply(ledger, run, 2, add(same), space="macro").name == "P3.1"


def test_a_replayed_edit_is_applied_once(ledger: Ledger, new_run: NewRun, rule: MakeRule) -> None:
    run = new_run(ledger)
    edits = [add(rule(("a", "conv"))), add(rule(("b", "conv")))]
    first = [apply(ledger, run, 1, edit) for edit in edits]
    retired = apply(ledger, run, 2, Retire(rationale="wrong", principle="P1"))
    assert [apply(ledger, run, 1, edit) for edit in edits] == first
    assert apply(ledger, run, 2, Retire(rationale="wrong", principle="P1")) == retired
    assert len(ledger.principles.versions(1)) == 2


def test_the_same_edit_twice_in_a_batch_is_told(
    ledger: Ledger, new_run: NewRun, rule: MakeRule
) -> None:
    run, edit = new_run(ledger), add(rule(("a", "conv")))
    where = (run.id, "mnist1d", "nb201", 1, "m", edit)
    made = ledger.principles.apply_edit(*where, ordinal=0)
    with pytest.raises(ToolError, match="P1 already holds"):
        ledger.principles.apply_edit(*where, ordinal=1)
    assert ledger.principles.apply_edit(*where, ordinal=0) == made


def test_a_merge_retires_what_it_merges(ledger: Ledger, new_run: NewRun, rule: MakeRule) -> None:
    run = new_run(ledger)
    for name in "abc":
        apply(ledger, run, 1, add(rule((name, "conv"))))
    merge = Merge(
        rationale="one idea", principles=("P1", "P3"), statement="use it", rule=rule(("a", "conv"))
    )
    merged = apply(ledger, run, 2, merge)
    assert (merged.name, merged.parents) == ("P4.1", ("P1.1", "P3.1"))
    assert [version.name for version in ledger.principles.current(run.id)] == ["P2.1", "P4.1"]
    last = ledger.principles.versions(3)[-1]
    assert (last.edit, last.rationale) == ("retire", "merged into P4: one idea")
    assert apply(ledger, run, 2, merge) == merged
    assert len(ledger.principles.versions(3)) == 2


def test_a_merge_of_one_is_refused(ledger: Ledger, new_run: NewRun, rule: MakeRule) -> None:
    run = new_run(ledger)
    apply(ledger, run, 1, add(rule(("a", "conv"))))
    merge = Merge(
        rationale="why", principles=("P1", "P1"), statement="x y", rule=rule(("b", "conv"))
    )
    with pytest.raises(ToolError, match="two different"):
        apply(ledger, run, 2, merge)


def test_what_is_retired_stays_in_history_and_its_rule_is_free(
    ledger: Ledger, new_run: NewRun, rule: MakeRule
) -> None:
    run, one = new_run(ledger), rule(("a", "conv"))
    apply(ledger, run, 1, add(one))
    retired = apply(ledger, run, 2, Retire(rationale="it does not hold", principle="P1"))
    assert (retired.name, retired.edit, retired.rule) == ("P1.2", "retire", one)
    assert ledger.principles.current(run.id) == ledger.principles.all_current() == []
    with pytest.raises(ToolError, match="P1 was retired at step 2; add a new principle"):
        apply(ledger, run, 3, Retire(rationale="again", principle="P1"))
    assert apply(ledger, run, 3, add(one)).name == "P2.1"
    assert ledger.principles.proposed_ever(run.id) == 1


def test_an_unknown_principle_is_answered_with_the_known(
    ledger: Ledger, new_run: NewRun, rule: MakeRule
) -> None:
    run, other = new_run(ledger), new_run(ledger)
    apply(ledger, other, 1, add(rule(("a", "conv"))))
    retire = Retire(rationale="why", principle="P1")
    with pytest.raises(ToolError, match="no principle P1 here; known: none"):
        apply(ledger, run, 1, retire)
    apply(ledger, run, 1, add(rule(("b", "conv"))))
    with pytest.raises(ToolError, match="no principle P1 here; known: P2"):
        apply(ledger, run, 1, retire)
    for call in (ledger.principles.versions, ledger.principles.version):
        with pytest.raises(ToolError, match="P9"):
            call("P9.1")
    with pytest.raises(ToolError, match="named like P7"):
        ledger.principles.versions("seven")


def test_a_revision_must_change_something(ledger: Ledger, new_run: NewRun, rule: MakeRule) -> None:
    run, one = new_run(ledger), rule(("a", "conv"))
    apply(ledger, run, 1, add(one, "use it"))
    same = Revise(rationale="why", principle="P1", statement="use it", rule=one)
    with pytest.raises(ToolError, match="already says exactly this"):
        apply(ledger, run, 2, same)
    reworded = same.model_copy(update={"statement": "use it often"})
    assert apply(ledger, run, 2, reworded).name == "P1.2"


def test_narrow_must_narrow(ledger: Ledger, new_run: NewRun, rule: MakeRule) -> None:
    run = new_run(ledger)
    apply(ledger, run, 1, add(rule(("a", "conv"))))
    narrow = Narrow(rationale="why", principle="P1", statement="x y", rule=rule(("b", "conv")))
    with pytest.raises(ToolError, match="does not narrow P1"):
        apply(ledger, run, 2, narrow)
    closer = narrow.model_copy(update={"rule": rule(("a", "conv"), ("b", "conv"))})
    assert apply(ledger, run, 2, closer).edit == "narrow"


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        ((CONV, DEEP), (CONV,), True),
        ((CONV,), (CONV_OR_SKIP,), True),
        ((DEEPER,), (DEEP,), True),
        ((DEEP,), (DEEPER,), False),
        ((CONV_OR_SKIP,), (CONV,), False),
        ((CONV,), (CONV,), False),
        ((CONV,), (CONV, DEEP), False),
        ((WIDE, DEEP), (DEEP,), True),
        ((DEEP,), (WIDE,), False),
    ],
)
def test_narrower_means_under_further_conditions(new: Any, old: Any, expected: bool) -> None:
    for stance in ("require", "avoid"):
        assert is_narrower(Rule(stance=stance, all=new), Rule(stance=stance, all=old)) is expected
    assert not is_narrower(Rule(stance="avoid", all=new), Rule(stance="require", all=old))


def test_a_rule_of_another_run_is_found_again_under_its_number(
    ledger: Ledger, new_run: NewRun, rule: MakeRule
) -> None:
    run, other, one = new_run(ledger), new_run(ledger), rule(("a", "conv"))
    apply(ledger, run, 1, add(one))
    again = apply(ledger, other, 5, add(one, "mine too"))
    assert (again.name, again.parents, again.run_id) == ("P1.2", ("P1.1",), other.id)
    assert [v.name for v in ledger.principles.current(run.id)] == ["P1.1"]
    assert [v.name for v in ledger.principles.current(other.id)] == ["P1.2"]
    assert [v.name for v in ledger.principles.all_current()] == ["P1.2"]


def test_what_a_run_recalls_it_works_with(ledger: Ledger, new_run: NewRun, rule: MakeRule) -> None:
    run, other = new_run(ledger), new_run(ledger)
    first = apply(ledger, run, 1, add(rule(("a", "conv"))))
    ledger.principles.adopt(other.id, "P1.1", 0.7, 0.4, 0.9)
    ledger.principles.adopt(other.id, "P1.1", 0.1, None, 0.1)
    assert ledger.principles.adopted(other.id) == [
        Adoption(run_id=other.id, version="P1.1", trust=0.7, source_effect=0.4, similarity=0.9)
    ]
    assert ledger.principles.current(other.id) == [first]
    with pytest.raises(ToolError, match="P1 already holds"):
        apply(ledger, other, 1, add(rule(("a", "conv"))))
    with pytest.raises(ToolError, match=r"P5\.1"):
        ledger.principles.adopt(other.id, "P5.1", 0.7, 0.4, 0.9)


@pytest.mark.parametrize(("task", "left"), [("mnist1d", []), ("digits", ["P1.1"])])
def test_another_task_retires_a_principle_for_its_own_run_only(
    ledger: Ledger, new_run: NewRun, rule: MakeRule, task: str, left: list[str]
) -> None:
    run, other = new_run(ledger), new_run(ledger)
    apply(ledger, run, 1, add(rule(("a", "conv"))))
    ledger.principles.adopt(other.id, "P1.1", 0.7, 0.4, 0.9)
    apply(ledger, other, 2, Retire(rationale="not here", principle="P1"), task=task)
    assert ledger.principles.current(other.id) == []
    assert [v.name for v in ledger.principles.current(run.id)] == ["P1.1"]
    assert [v.name for v in ledger.principles.all_current()] == left


def test_a_person_edits_without_a_run(ledger: Ledger, new_run: NewRun, rule: MakeRule) -> None:
    apply(ledger, new_run(ledger), 1, add(rule(("a", "conv"))))
    mine = Revise(rationale="I know", principle="P1", statement="mine", rule=rule(("b", "conv")))
    assert apply(ledger, None, 0, mine, author="you").run_id is None
    with pytest.raises(ToolError, match="P1 already holds"):
        apply(ledger, None, 0, add(rule(("b", "conv"))))


def test_evidence_is_kept_look_by_look(
    ledger: Ledger, new_run: NewRun, rule: MakeRule, measured: Callable[..., Evidence]
) -> None:
    run, other = new_run(ledger), new_run(ledger)
    for name in "ab":
        apply(ledger, run, 1, add(rule((name, "conv"))))
    looks = [measured(run.id, p, 1, n, effect=n / 10) for n in (8, 16) for p in (1, 2)]
    ledger.evidence.add(looks)
    ledger.evidence.add([measured(run.id, 1, 1, 16, effect=99.0)])
    ledger.evidence.add([])
    elsewhere = measured(other.id, 1, 1, 40, doubly_robust=None, points=None)
    ledger.evidence.add([elsewhere])
    assert ledger.evidence.of(run.id) == looks
    assert ledger.evidence.latest(run.id) == {(1, 1): looks[2], (2, 1): looks[3]}
    assert sorted(ledger.evidence.about("P1"), key=lambda e: e.up_to) == [
        looks[0],
        looks[2],
        elsewhere,
    ]
