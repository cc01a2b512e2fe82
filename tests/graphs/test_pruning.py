"""Cuts follow the evidence, and what the person undid stays undone."""

from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vitruvius.agents.chairs.view import PrincipleView
from vitruvius.budget import Budget
from vitruvius.errors import ToolError
from vitruvius.graphs.search.prune import (
    PROGRAM,
    prune_by_decision,
    prune_by_evidence,
    widen_region,
)
from vitruvius.graphs.search.reader import Reader
from vitruvius.graphs.search.schedule import LOAN, STALL
from vitruvius.memory.edits import Add, Revise
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import PERSON, DecisionStatus, Evidence, Standing
from vitruvius.settings import Policy
from vitruvius.spaces.cells.cell import Cell
from vitruvius.spaces.rules import Rule, SlotCondition

AVOIDED = Rule(stance="avoid", all=(SlotCondition(slot="edge_0_3", choices=("none",)),))
TEXT = {"statement": "no hole at the end", "rationale": "it was bad"}


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Any]:
    """A session whose principles are supported and may cut by `bound`, whatever their version."""
    with Ledger.open(tmp_path) as ledger:
        space = Cell()
        run = ledger.runs.create(
            space_ref="nb201", space_id=space.id, space_name=space.name, task_ref="digits",
            task_id="digits-1", task_name="digits", seed=0, budget=Budget(trials=40),
            settings={}, sources={},
        )  # fmt: skip

        def principles() -> list[PrincipleView]:
            return [
                PrincipleView(
                    version=version,
                    standing=made.standing,
                    trust=0.0,
                    source_effect=None,
                    evidence=Evidence(
                        run_id=run.id, principle=version.principle, version=version.version,
                        up_to=8, look=1, n_in=5, n_out=7, effect=1.0, low=0.5, high=1.5,
                        p_value=0.001, doubly_robust=None, points=None, top_loss=made.top_loss,
                        top_loss_high=made.bound, kept=0.8, standing=made.standing,
                    ),
                )
                for version in ledger.principles.current(run.id)
            ]  # fmt: skip

        no_task: Any = None
        reader: Any = Reader(ledger=ledger, run=run, space=space, task=no_task)
        reader.principles, reader.steps = principles, partial(next, count(1))
        made = SimpleNamespace(
            ledger=ledger, run=run, space=space, policy=Policy(), reader=reader,
            tell=lambda *_, **__: None, bound=0.01, top_loss=0.0, standing=Standing.SUPPORTED,
        )  # fmt: skip
        made.edit = lambda edit, step: ledger.principles.apply_edit(
            run.id, "digits", "nb201", step, "analyst", edit, ordinal=0
        )
        yield made


def test_a_cut_undone_by_hand_stays_away(session: Any) -> None:
    version = session.edit(Add(rule=AVOIDED, **TEXT), 0)
    prune_by_evidence(session)
    [cut] = session.ledger.cuts.of(session.run.id)
    session.ledger.cuts.undo(session.run.id, cut.number, 1, PERSON, "a hunch")
    prune_by_evidence(session)
    other = TEXT | {"statement": "the same rule in other words"}
    session.edit(Revise(principle=f"P{version.principle}", rule=AVOIDED, **other), 1)
    prune_by_evidence(session)
    assert [made.in_force for made in session.ledger.cuts.of(session.run.id)] == [False]
    decision = session.ledger.steps.add_decision(
        session.run.id, 2, "qwen3",
        {"tool": "prune", "action": "cut", "principle": f"P{version.principle}", "reason": "why"},
        DecisionStatus.ACCEPTED,
    )  # fmt: skip
    with pytest.raises(ToolError, match="the person undid this cut"):
        prune_by_decision(session, decision, decision.call)


def test_a_cut_undone_by_evidence_may_come_back(session: Any) -> None:
    session.edit(Add(rule=AVOIDED, **TEXT), 0)
    prune_by_evidence(session)
    session.ledger.cuts.undo(session.run.id, 1, 1, "evidence", "weakened")
    prune_by_evidence(session)
    assert [made.in_force for made in session.ledger.cuts.of(session.run.id)] == [False, True]


def lent(session: Any, standing: Standing, top_loss: float, **found: int) -> str | None:
    """Returns why a cut on loan ended, after a verification that found this."""
    version = session.edit(Add(rule=AVOIDED, **TEXT), 0)
    session.ledger.cuts.add(
        session.run.id, 0, rule=AVOIDED, principle=version.name, reason="told", provisional=True,
        kept=0.8, top_loss_high=0.0,
    )  # fmt: skip
    session.ledger.steps.mark(session.run.id, "verified", 0, {"step": 0, **found})
    session.standing, session.top_loss, session.bound = standing, top_loss, 0.9
    prune_by_evidence(session)
    cut = session.ledger.cuts.of(session.run.id)[0]
    return str(cut.undone_reason) if not cut.in_force else None


@pytest.mark.parametrize(
    ("standing", "top_loss", "found", "reason"),
    [
        (Standing.CANDIDATE, 0.9, {"closed": LOAN - 1}, None),
        (Standing.CONTRADICTED, 0.9, {"closed": LOAN - 1}, "it is contradicted"),
        (Standing.CANDIDATE, 0.12, {"closed": LOAN}, "by 1.8, at least 2"),
        (Standing.CANDIDATE, 0.11, {"closed": LOAN}, None),
        (Standing.SUPPORTED, 0.11, {"closed": 4 * LOAN, "since_best": STALL - 1}, None),
        (Standing.SUPPORTED, 0.11, {"closed": 4 * LOAN, "since_best": STALL}, "no better result"),
    ],
)
def test_a_loan_stands_while_the_trials_bear_it_out(
    session: Any, standing: Standing, top_loss: float, found: dict[str, int], reason: str | None
) -> None:
    ended = lent(session, standing, top_loss, **found)
    assert (ended is None) == (reason is None)
    assert (reason or "") in (ended or "")


def bounded(session: Any, bound: float) -> list[bool]:
    session.bound = bound
    prune_by_evidence(session)
    return [cut.in_force for cut in session.ledger.cuts.of(session.run.id)]


def test_a_bound_that_wavers_about_its_limit_does_not_make_a_cut_flap(session: Any) -> None:
    session.edit(Add(rule=AVOIDED, **TEXT), 0)
    assert [bounded(session, bound) for bound in (0.049, 0.031, 0.049, 0.031)] == [[]] * 4
    assert [bounded(session, bound) for bound in (0.029, 0.049, 0.031, 0.049)] == [[True]] * 4
    assert bounded(session, 0.051) == [False]
    assert bounded(session, 0.049) == [False]
    assert bounded(session, 0.029) == [False, True]


def test_an_exhausted_region_is_widened_by_its_most_doubtful_cut(session: Any) -> None:
    other = Rule(stance="avoid", all=(SlotCondition(slot="edge_0_1", choices=("none",)),))
    first = session.edit(Add(rule=AVOIDED, **TEXT), 0)
    prune_by_evidence(session)
    second = session.edit(Add(rule=other, **TEXT | {"statement": "no hole at the start"}), 0)
    session.ledger.cuts.add(
        session.run.id, 0, rule=other, principle=second.name, reason="told", provisional=True,
        kept=0.6, top_loss_high=0.0,
    )  # fmt: skip
    assert widen_region(session, 5)
    assert [cut.principle for cut in session.reader.region().cuts] == [first.name]
    assert widen_region(session, 5)
    assert not widen_region(session, 5)
    prune_by_evidence(session)
    assert session.reader.region().cuts == ()
    assert {cut.undone_by for cut in session.ledger.cuts.of(session.run.id)} == {PROGRAM}
    decision = session.ledger.steps.add_decision(
        session.run.id, 6, "qwen3",
        {"tool": "prune", "action": "cut", "principle": "P1", "reason": "why"},
        DecisionStatus.ACCEPTED,
    )  # fmt: skip
    with pytest.raises(ToolError, match="nothing untried"):
        prune_by_decision(session, decision, decision.call)
