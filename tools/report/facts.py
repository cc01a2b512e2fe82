"""What a report holds, as values. Wherever a number stands, the trials it rests on stand too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from vitruvius.memory.evidence.effects import FeatureEffect
from vitruvius.memory.records import (
    Adoption,
    Calibration,
    CutRecord,
    Evidence,
    PrincipleVersion,
    Run,
    Spent,
    Standing,
    Trial,
)
from vitruvius.spaces.space import Architecture
from vitruvius.tasks.task import Metric

Numbers = tuple[int, ...]  # trial numbers


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean and its 95 % interval, in the metric's unit; no interval from a single value."""

    mean: float
    low: float | None
    high: float | None
    trials: Numbers


@dataclass(frozen=True, kw_only=True)
class Band:
    """The median best of some uniform draws and its exact 95 % interval; None where unbounded."""

    median: float | None
    low: float | None
    high: float | None
    trials: Numbers


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Deviation between trials of one architecture under several seeds, pooled."""

    deviation: float
    freedom: int  # degrees of freedom
    trials: Numbers


@dataclass(frozen=True, kw_only=True)
class Finalist:
    """An architecture, the trial that put it forward, and what fresh seeds say of it."""

    architecture: Architecture
    found: Trial
    search: Estimate | None  # over the seeds of the search: biased upwards by the choice
    confirmed: Estimate | None
    test: Estimate | None


@dataclass(frozen=True, kw_only=True)
class Best:
    """The run's answer, drawn in text and as SVG, and the trial whose weights were kept."""

    finalist: Finalist
    drawing: str
    picture: str
    weights: tuple[int, str] | None  # trial, path


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """What the answer is held against: the best of some uniform draws, or the middle one of them.

    `gap` is how much better the answer is, in the metric's unit; `half` the 95 % half-width that
    the noise between seeds gives it, None where the noise is not known.
    """

    kind: Literal["random arm", "uniform draws", "typical draw"]
    found: Trial
    among: Numbers  # the draws that it is the best, or the middle one, of
    picture: str  # SVG
    gap: float
    half: float | None


@dataclass(frozen=True, kw_only=True)
class Point:
    """The best value after `n` trials of each arm, and the trial that holds it."""

    n: int
    agent: tuple[float, int] | None
    random: Band | None  # best of n uniform draws
    control: tuple[float, int] | None


@dataclass(frozen=True, kw_only=True)
class Curve:
    """The search beside random search. `reach`: uniform draws at least as good as the agent's.

    `rises` are the agent's improvements, `control_rises` those of the random arm: after how many
    trials of the arm, the value, the trial that brought it.
    """

    points: Sequence[Point]
    rises: Sequence[tuple[int, float, int]]
    control_rises: Sequence[tuple[int, float, int]]
    uniform: Numbers  # the draws that the random curve rests on
    reach: Numbers
    share_high: float | None  # upper 95 % bound of the share of such draws in the space


@dataclass(frozen=True, kw_only=True)
class PrincipleReport:
    """A principle as the run leaves it. `lineage` is oldest first and ends with `version`.

    `written` says beside each of the lineage after which trial of this run it was written, 0 if
    that was before the run. `looks` are all measurements of its versions in this run, in order.
    """

    version: PrincipleVersion
    standing: Standing
    evidence: Evidence | None
    lineage: Sequence[PrincipleVersion]
    written: Numbers
    looks: Sequence[Evidence]
    trust: float | None  # set where the version came from earlier runs
    source_effect: float | None
    cuts: Numbers  # numbers of cuts that it licensed


@dataclass(frozen=True, kw_only=True)
class CutReport:
    """A cut and its audit: trials that fell outside it, and the best among them.

    `during` are the trials that were chosen while it was in force; drawn uniformly, `spared` of
    them would be expected outside, `spared_s` seconds of training. `loss_now` is the share of the
    best 1 % that it removes by the run's last trial, and the upper 90 % bound.
    """

    cut: CutRecord
    outside: Numbers
    best_outside: tuple[float, int] | None
    as_good_outside: Numbers  # of `outside`, those at least as good as the answer's own trial
    removed: float  # share of the space's sampler, by this cut alone
    during: Numbers
    spared: float
    spared_s: float
    loss_now: tuple[float, float] | None


@dataclass(frozen=True, kw_only=True)
class Account:
    """Trials of one kind: how many were paid, how many cost nothing, and the seconds."""

    kind: str
    trials: Numbers
    reused: Numbers
    train_s: float


@dataclass(frozen=True, kw_only=True)
class StoppedReport:
    """Trainings stopped early: what they took, and what they would have taken at their pace."""

    trials: Numbers
    uniform: int  # of them uniform draws
    train_s: float
    whole_s: float


@dataclass(frozen=True, kw_only=True)
class ModelAccount:
    """Calls of one model in one chair."""

    chair: str
    model: str
    calls: int
    errors: int
    tokens_in: int
    tokens_out: int
    estimated: bool
    dollars: float
    wall_s: float


@dataclass(frozen=True, kw_only=True)
class SourceReport:
    """A run whose trials guided the model. `weight` is what this run's trials made of it."""

    run: Run
    trials: int
    trust: float
    weight: float | None


@dataclass(frozen=True, kw_only=True)
class RecalledReport:
    """A recalled version: what was measured of it here, what it was rewritten to, its cuts."""

    version: PrincipleVersion
    adoption: Adoption
    evidence: Evidence | None
    became: PrincipleVersion | None
    cuts: Sequence[CutRecord]


@dataclass(frozen=True, kw_only=True)
class TransferReport:
    """What a run took from others; `refused` are what was not used and why."""

    asked: Sequence[str]
    sources: Sequence[SourceReport]
    recalled: Sequence[RecalledReport]
    refused: Sequence[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class ShortReport:
    """The short trainings that a search began with, a run of their own."""

    run_id: str
    fidelity: str
    trials: int
    train_s: float  # reused results cost none


@dataclass(frozen=True, kw_only=True)
class Promising:
    """An untried architecture and the chance that one training beats the best trial so far."""

    architecture: Architecture
    chance: float  # by the model of the run
    is_inside: bool  # of the region that the cuts leave


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """Something worth doing next, why, and the command for it; `trials` are those it rests on."""

    what: str
    why: str
    command: str | None
    trials: Numbers


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything that the report says, before it is put into words."""

    run: Run
    metric: Metric
    is_noisy: bool
    spent: Spent
    trials: Sequence[Trial]  # all of the run, whatever their origin
    best: Best | None
    baseline: Baseline | None
    finalists: Sequence[Finalist]
    noise: Noise | None
    curve: Curve
    effects: Sequence[FeatureEffect]  # the strongest first
    effects_on: Numbers
    transfer: TransferReport | None  # None: before its recall
    principles: Sequence[PrincipleReport]
    cuts: Sequence[CutReport]
    region_left: float  # share of the space's sampler inside the cuts in force
    accounts: Sequence[Account]
    short: ShortReport | None
    stopped: StoppedReport | None
    models: Sequence[ModelAccount]
    failures: Mapping[str, Sequence[Trial]]
    decisions: Mapping[str, int]  # by "author, status"
    calibrations: Sequence[Calibration]
    calibrated_on: Numbers
    distrust: Sequence[str]
    promising: Sequence[Promising]  # the likeliest first
    suggestions: Sequence[Suggestion]

    @property
    def n_trials(self) -> int:
        return len(self.trials)
