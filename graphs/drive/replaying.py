"""A run that is replayed: its recording, and what the clock decided in it.

A home is a replay where a recording of the run lies beside its ledger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from vitruvius.agents.model.replayed_client import ReplayDiverged
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.ledger.snapshot import RECORDING
from vitruvius.memory.records import DecisionStatus, ModelCall, Origin, RunStatus

CONFIRMATION = "confirmation"
CUT_OFF = "cut_off"  # the mark of a trial that was still trained when the time was over


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What a recorded run did. The last three are set where wall time decided them."""

    calls: Sequence[ModelCall]
    search_steps: int | None  # decisions, the confirmation left out
    confirmations: int | None  # trainings of the finalists
    cut_off: frozenset[int] = field(default_factory=frozenset)  # trials that the end of time ended


def recorded_run(home: Path, run_id: str) -> Recorded | None:
    """Returns what was recorded of this run; None where the home is no replay of it."""
    if not (home / RECORDING).exists():
        return None
    with Ledger.open(home, file=RECORDING) as ledger:
        run = ledger.run(run_id)
        decisions = ledger.decisions(run_id)
        trials = ledger.trials(run_id)
        calls = ledger.calls(run_id)
        cut_off = frozenset(mark.step for mark in ledger.marks(run_id, CUT_OFF))
    done = [d for d in decisions if d.status == DecisionStatus.CARRIED_OUT]
    is_timed = run.budget.wall_s is not None
    return Recorded(
        calls=[call for call in calls if call.chair != "chat"],
        search_steps=sum(d.author != CONFIRMATION for d in done) if is_timed else None,
        confirmations=sum(t.origin == Origin.CONFIRM for t in trials) if is_timed else None,
        cut_off=cut_off,
    )


def check_same(home: Path, ledger: Ledger, run_id: str) -> None:
    """Checks that a replay did what was recorded; nothing where the home is no replay.

    Raises:
        ReplayDiverged: names the first trial, principle, cut or decision that differs.
    """
    if not (home / RECORDING).exists():
        return
    with Ledger.open(home, file=RECORDING) as recording:
        if recording.run(run_id).status != RunStatus.DONE:
            return  # it went on where the recorded run was stopped
        then, now = _facts(recording, run_id), _facts(ledger, run_id)
    for kind, rows in then.items():
        for place, (old, new) in enumerate(zip_longest(rows, now[kind]), start=1):
            if old != new:
                raise ReplayDiverged(
                    f"the replay is not what was recorded: {kind} {place} was {old or 'none'} and "
                    f"is {new or 'none'} here"
                )


def _facts(ledger: Ledger, run_id: str) -> dict[str, list[str]]:
    """Returns what a run did, in lines that two equal runs share."""
    return {
        "trial": [
            f"{t.architecture} ({t.origin.value}, seed {t.seed}): {t.status.value} {t.value}"
            for t in ledger.trials(run_id)
        ],
        "principle": [
            f"{v.name} {v.edit} by {v.author}: {v.statement!r} {v.rule.key}"
            for v in ledger.newest(run_id)
        ],
        "cut": [
            f"{c.rule.key} by {c.principle}, steps {c.made_step} to {c.undone_step}"
            for c in ledger.cuts(run_id)
        ],
        "decision": [
            f"step {d.step} by {d.author}: {d.status.value} {d.written}"
            for d in ledger.decisions(run_id)
        ],
    }
