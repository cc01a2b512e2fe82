"""What a run and those forked from it must not tell each other: they share trials.

A fork sees nothing that came after it was made, so what its elders learned since is no memory to
it. To a third run the whole family is one witness.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from vitruvius.memory.ledger.forks import roots
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import DecisionStatus, Run
from vitruvius.spaces.space import Architecture, SearchSpace
from vitruvius.tools.calls.proxy import Proxy

if TYPE_CHECKING:
    from vitruvius.graphs.search.session import Session


def kin_of(ledger: Ledger, run_id: str) -> set[str]:
    """Returns the other runs of its family: those forked from it, or from the same."""
    of = roots(ledger.runs.all())
    return {name for name, root in of.items() if root == of[run_id] and name != run_id}


def one_of_each_family(ledger: Ledger, runs: Sequence[Run]) -> list[Run]:
    """Returns the runs, of each family only the one with most scored trials."""
    of = roots(ledger.runs.all())
    families: dict[str, list[Run]] = {}
    for run in runs:
        families.setdefault(of[run.id], []).append(run)
    loudest = {
        root: max(kin, key=lambda run: ledger.trials.settled(run.id)[1]).id
        if len(kin) > 1
        else kin[0].id
        for root, kin in families.items()
    }
    return [run for run in runs if loudest[of[run.id]] == run.id]


def hidden_scores(session: Session, forked_from: Iterable[str]) -> set[Architecture]:
    """Returns the architectures that its elders asked proxies about and the run itself did not."""
    theirs: set[Architecture] = set()
    for name in forked_from:
        theirs |= _asked(session.ledger, session.space, name)
    return theirs - _asked(session.ledger, session.space, session.run.id) if theirs else theirs


def _asked(ledger: Ledger, space: SearchSpace, run_id: str) -> set[Architecture]:
    return {
        space.parse(spec)
        for decision in ledger.steps.decisions(run_id)
        if decision.status == DecisionStatus.CARRIED_OUT and isinstance(decision.call, Proxy)
        for spec in decision.call.architectures
    }
