"""How far a run believes others before it has measured anything: a prior in [0, 1].

What a source shows, times how like its task and space are, times how its word turned out where it
was taken before. It weighs in the model from the first trial on; then what is measured replaces it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vitruvius.memory.records import Evidence, Run, RunKind, Standing

OTHER_TASK = 0.6  # how much of a source's evidence holds on another task of the same space
IMPORTED = 0.4  # of another home: its trials cannot be looked at; below what a cut needs
LEAST_TRUST = 0.05  # below it nobody is listened to
HALF_VOICE = 20  # trials with which a run's word counts half
AGAINST = -0.5  # what a contradiction says, where full support says 1
PRIOR_TRANSFERS = 2.0  # good transfers that a source is given in advance


@dataclass(frozen=True, kw_only=True)
class Word:
    """What runs say of one version: trust in [0, 1], effect, and the evidence that says most."""

    trust: float
    effect: float | None
    evidence: Evidence | None
    is_imported: bool = False


def task_similarity(run: Run, task_name: str) -> float:
    """Returns the share of a run's evidence that holds on a task."""
    alike = 1.0 if run.task_name == task_name else OTHER_TASK
    return alike * (IMPORTED if run.kind == RunKind.IMPORT else 1.0)


def voice(trials: int) -> float:
    """Returns how much a run with so many trials has to say, in [0, 1)."""
    return trials / (trials + HALF_VOICE)


def source_trust(evidence: Evidence | None) -> float:
    """Returns a source's word in [0, 1]: how far its interval lies from zero effect."""
    if evidence is None or evidence.standing != Standing.SUPPORTED or evidence.effect == 0:
        return 0.0
    nearest = evidence.low if evidence.effect > 0 else -evidence.high
    return float(min(1.0, max(0.0, nearest / abs(evidence.effect)) + 0.5))


def word_of(evidence: Iterable[Evidence], runs: Mapping[str, Run], task_name: str) -> Word:
    """Returns what the last looks of several runs say together.

    Each run has one voice, by its trials and the likeness of its task, so a run that measured a
    recalled version later counts beside the one that learned it. A run that could not tell says
    nothing.

    Args:
        evidence: of one version; of the runs in `runs` only the last look counts.
        runs: who may speak.
        task_name: of the run that listens.
    """
    last: dict[str, Evidence] = {}
    for one in evidence:
        if one.run_id not in runs or one.standing == Standing.CANDIDATE:
            continue
        if one.run_id not in last or last[one.run_id].up_to < one.up_to:
            last[one.run_id] = one
    total = trust = effect = likest = 0.0
    for one in last.values():
        alike = task_similarity(runs[one.run_id], task_name)
        weight = voice(one.n_in + one.n_out) * alike
        said = AGAINST if one.standing == Standing.CONTRADICTED else source_trust(one)
        total, likest = total + weight, max(likest, alike)
        trust, effect = trust + weight * said, effect + weight * one.effect
    if total == 0:
        return Word(trust=0.0, effect=None, evidence=None)
    loudest = max(last.values(), key=lambda one: one.n_in + one.n_out)
    return Word(
        trust=max(0.0, trust / total) * likest,
        effect=effect / total,
        evidence=loudest,
        is_imported=all(runs[name].kind == RunKind.IMPORT for name in last),
    )


def transfer_record(standings: Iterable[Standing], weights: Iterable[float] = ()) -> float:
    """Returns the share of earlier transfers that turned out well, in (0, 1]; 1 before any.

    Args:
        standings: of a source's versions in later runs that recalled them.
        weights: that later runs learned for the source in their models; 0: of no use.
    """
    good, all_of_them = PRIOR_TRANSFERS, PRIOR_TRANSFERS
    for standing in standings:
        if standing in (Standing.SUPPORTED, Standing.CONTRADICTED, Standing.WEAKENED):
            all_of_them += 1
            good += {Standing.SUPPORTED: 1.0, Standing.WEAKENED: 0.5}.get(standing, 0.0)
    for weight in weights:
        all_of_them += 1
        good += min(1.0, max(0.0, weight))
    return good / all_of_them
