"""Cuts follow the evidence, and what the person undid stays undone."""

from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vitruvius.agents.view import PrincipleView
from vitruvius.errors import ToolError
from vitruvius.graphs.pruning import prune_by_decision, prune_by_evidence
from vitruvius.graphs.session import Policy
from vitruvius.memory.edits import Add, Revise
from vitruvius.memory.ledger import Ledger
from vitruvius.memory.records import PERSON, Budget, DecisionStatus, Evidence, Standing
from vitruvius.memory.regions import region_of
from vitruvius.spaces.cell import Cell
from vitruvius.spaces.rules import Rule, SlotCondition

AVOIDED = Rule(stance="avoid", all=(SlotCondition(slot="edge_0_3", choices=("none",)),))
TEXT = {"statement": "no hole at the end", "rationale": "it was bad"}


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Any]:
    """A session whose principles are supported and may cut, whatever their version."""
    with Ledger.open(tmp_path) as ledger:
        space = Cell()
        run = ledger.create_run(
            space_ref="nb201", space_id=space.id, space_name=space.name, task_ref="digits",
            task_id="digits-1", task_name="digits", seed=0, budget=Budget(trials=40),
            settings={}, sources={},
        )  # fmt: skip

        def principles() -> list[PrincipleView]:
            return [
                PrincipleView(
                    version=version,
                    standing=Standing.SUPPORTED,
                    trust=0.0,
                    source_effect=None,
                    evidence=Evidence(
                        run_id=run.id, principle=version.principle, version=version.version,
                        up_to=8, look=1, n_in=5, n_out=7, effect=1.0, low=0.5, high=1.5,
                        p_value=0.001, doubly_robust=None, points=None, top_loss=0.0,
                        top_loss_high=0.01, kept=0.8, standing=Standing.SUPPORTED,
                    ),
                )
                for version in ledger.current(run.id)
            ]  # fmt: skip

        made = SimpleNamespace(
            ledger=ledger, run=run, space=space, policy=Policy(), principles=principles,
            tell=lambda *_, **__: None, steps=partial(next, count(1)),
        )  # fmt: skip
        made.region = lambda: region_of(space, ledger.cuts(run.id))
        made.edit = lambda edit, step: ledger.apply_edit(
            run.id, "digits", "nb201", step, "analyst", edit, ordinal=0
        )
        yield made


def test_a_cut_undone_by_hand_stays_away(session: Any) -> None:
    version = session.edit(Add(rule=AVOIDED, **TEXT), 0)
    prune_by_evidence(session)
    [cut] = session.ledger.cuts(session.run.id)
    session.ledger.undo_cut(session.run.id, cut.number, 1, PERSON, "a hunch")
    prune_by_evidence(session)
    other = TEXT | {"statement": "the same rule in other words"}
    session.edit(Revise(principle=f"P{version.principle}", rule=AVOIDED, **other), 1)
    prune_by_evidence(session)
    assert [made.in_force for made in session.ledger.cuts(session.run.id)] == [False]
    decision = session.ledger.add_decision(
        session.run.id, 2, "qwen3",
        {"tool": "prune", "action": "cut", "principle": f"P{version.principle}", "reason": "why"},
        DecisionStatus.ACCEPTED,
    )  # fmt: skip
    with pytest.raises(ToolError, match="the person undid this cut"):
        prune_by_decision(session, decision)


def test_a_cut_undone_by_evidence_may_come_back(session: Any) -> None:
    session.edit(Add(rule=AVOIDED, **TEXT), 0)
    prune_by_evidence(session)
    session.ledger.undo_cut(session.run.id, 1, 1, "evidence", "weakened")
    prune_by_evidence(session)
    assert [made.in_force for made in session.ledger.cuts(session.run.id)] == [False, True]
