"""Facts as values: what the ledger stores and hands out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from vitruvius.budget import Budget
from vitruvius.spaces.rules import Rule
from vitruvius.spaces.space import Architecture

PERSON = "you"  # author of what the user does by hand
BREAKS_A_TRIAL = 10  # architectures that break a limit of the task cost one trial together


class RunStatus(StrEnum):
    """Where a run stands. `interrupted` can be resumed; `done` has its report."""

    PENDING = "pending"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    DONE = "done"


class RunKind(StrEnum):
    """What a run is. Every kind can be listed, shown, recalled; only a search can be resumed."""

    SEARCH = "search"
    LEARN = "learn"  # principles from rows that were evaluated elsewhere
    IMPORT = "import"  # stands for a run of another home: its evidence, not its trials


STOPPED_IN = " stopped in "  # in a result's fidelity, before the run that stopped it


class ResultStatus(StrEnum):
    """Where a result stands; the last eight are final."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    STOPPED_EARLY = "stopped_early"  # at a rung: it has a curve, and no value
    FAILED = "failed"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out_of_memory"
    DIVERGED = "diverged"
    INFEASIBLE = "infeasible"  # breaks a limit of the task; nothing was trained
    CANCELLED = "cancelled"

    @property
    def is_open(self) -> bool:
        return self in (ResultStatus.PENDING, ResultStatus.RUNNING)


class Origin(StrEnum):
    """Why a trial was made."""

    EXPLORE = "explore"  # uniform: drawn from the space's own sampler, cuts ignored
    ARCHITECT = "architect"  # chosen
    REPEAT = "repeat"  # the incumbent again, for the noise floor
    CONTROL = "control"  # the random-search arm that `--control` buys
    CONFIRM = "confirm"  # the finalists again on fresh seeds
    GIVEN = "given"  # evaluated elsewhere, and learned from


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What a run has used so far; see `Steps.spent` for how trials are counted."""

    trials: int
    wall_s: float
    tokens: int
    dollars: float
    train_s: float | None = None  # None: not counted, for the budget does not limit it


@dataclass(frozen=True, kw_only=True)
class Run:
    """One search, or what a search may learn from. `settings` are those it was started with.

    `metric` holds the fields of the task's metric; None in runs of older releases.
    """

    id: str
    status: RunStatus
    created: datetime
    space_ref: str
    space_id: str
    space_name: str
    task_ref: str
    task_id: str
    task_name: str
    seed: int
    budget: Budget
    settings: Mapping[str, Any]
    sources: Mapping[str, str]  # user files and their SHA-256
    parent: str | None = None  # whose trials it learned from; of a search, its short trainings
    driver: str | None = None
    host: str | None = None
    pid: int | None = None
    heartbeat: datetime | None = None
    stop_requested: bool = False
    finished: datetime | None = None
    kind: RunKind = RunKind.SEARCH
    metric: Mapping[str, str] | None = None
    forked_from: str | None = None
    forked_at: int | None = None  # the last step that it shares


@dataclass(frozen=True, kw_only=True)
class NewTrial:
    """A trial to open. `propensity`: chance of this draw under the uniform share, if random."""

    architecture: Architecture
    fidelity: str
    seed: int
    origin: Origin
    propensity: float | None = None


@dataclass(frozen=True, kw_only=True)
class GivenRow:
    """An outcome known from elsewhere: a table's row, or a result of an earlier run."""

    architecture: Architecture
    fidelity: str
    seed: int
    status: ResultStatus
    value: float | None
    test: float | None = None
    train_s: float | None = None
    params: int | None = None
    flops: int | None = None
    propensity: float | None = None  # set where the row was drawn by the space's sampler


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A run's row and the result it points at. Holds no test figure: selection never sees one."""

    run_id: str
    number: int
    result_id: int
    decision_id: int | None
    architecture: Architecture
    fidelity: str
    seed: int
    origin: Origin
    propensity: float | None
    reused: bool  # the result was there already; costs zero seconds
    status: ResultStatus
    value: float | None  # validation metric, in the task's unit and direction
    train_s: float | None
    params: int | None
    flops: int | None
    message: str | None  # of a failure
    curve: tuple[float, ...] = ()
    peak_mib: float | None = None  # of the training, or of its graphics card

    @property
    def name(self) -> str:
        return f"T{self.number}"

    @property
    def meant_for(self) -> str:
        """The fidelity that it was trained for, also where it was stopped before."""
        return self.fidelity.partition(STOPPED_IN)[0]

    @property
    def problem(self) -> str:
        """The failure in one line: a traceback is for `show --json`."""
        return (self.message or "").partition("\n")[0]


class DecisionStatus(StrEnum):
    """What became of a proposal by the architect."""

    ACCEPTED = "accepted"  # stored, to be carried out
    CARRIED_OUT = "carried_out"
    DUPLICATE = "duplicate"
    INVALID = "invalid"
    OVER_BUDGET = "over_budget"
    MALFORMED = "malformed"
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True)
class Course:
    """Where the loop of a run stands, by its journal and its decisions."""

    reflections: int
    verifications: int
    verified_closed: int  # closed search trials at the last verification, 0 before the first
    reflected_at: int  # of them, those at the last one that followed a theorist's turn
    idle: int  # of the latest decisions, those since then that were no training
    has_open_decision: bool


@dataclass(frozen=True, kw_only=True)
class PrincipleVersion:
    """One immutable version of a principle. `name` is `P7.3`."""

    principle: int
    version: int
    statement: str
    rule: Rule
    space_name: str  # scope: the family whose features the rule speaks of
    task_name: str  # where it was learned
    author: str
    run_id: str | None  # None: imported
    step: int
    edit: Literal["add", "revise", "narrow", "merge", "retire", "import", "carry"]
    rationale: str
    parents: tuple[str, ...]  # versions it came from
    created: datetime

    @property
    def name(self) -> str:
        return f"P{self.principle}.{self.version}"


@dataclass(frozen=True, kw_only=True)
class Adoption:
    """A version of an earlier run that this run recalled. `trust` in [0, 1]."""

    run_id: str
    version: str  # P7.3
    trust: float
    source_effect: float | None  # what earlier runs measured, normal-score units
    similarity: float


class Standing(StrEnum):
    """What a run's trials say of a version."""

    CANDIDATE = "candidate"
    SUPPORTED = "supported"
    WEAKENED = "weakened"  # once supported, no longer
    CONTRADICTED = "contradicted"
    RETIRED = "retired"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """A measurement of one version on the run's trials up to `up_to`.

    Effects are in normal-score units (0 = median, 1 = one standard deviation of ranks),
    direction-corrected: positive means that the rule is good.
    """

    run_id: str
    principle: int
    version: int
    up_to: int  # trial number
    look: int  # how often this version was measured, this time included
    n_in: int
    n_out: int
    effect: float  # mean contrast, rule satisfied minus not, under the space's sampler
    low: float  # anytime-valid 95 % interval
    high: float
    p_value: float
    doubly_robust: float | None  # check by residuals of the randomised trials
    points: float | None  # raw difference expressed in the metric's unit, by the model
    top_loss: float  # posterior mean share of the best 1 % that a cut would remove
    top_loss_high: float  # its upper 90 % bound
    kept: float  # share of the space's sampler that satisfies the rule
    standing: Standing
    supporting: tuple[int, ...] = ()  # trial numbers, at most 10 each
    contradicting: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CutRecord:
    """A cut's row: made at a step, perhaps undone at a later one."""

    run_id: str
    number: int
    rule: Rule
    principle: str
    reason: str
    provisional: bool
    kept: float
    top_loss_high: float
    made_step: int
    undone_step: int | None = None
    undone_by: str | None = None
    undone_reason: str | None = None

    @property
    def in_force(self) -> bool:
        return self.undone_step is None


@dataclass(frozen=True, kw_only=True)
class ModelCall:
    """One call of a language model, whole: what was sent, what came, what it cost.

    `answer` holds the parts of the reply that a replay needs; see `agents.model.replayed_client`.
    """

    chair: Literal["architect", "theorist", "probe", "chat"]
    step: int
    model: str
    prompt: str
    reply: str
    tokens_in: int
    tokens_out: int
    tokens_estimated: bool
    dollars: float
    wall_s: float
    error: str | None = None
    answer: Mapping[str, Any] | None = None


DEGENERATE = "degenerate"  # how the note begins where a value says that the network is broken


@dataclass(frozen=True, kw_only=True)
class Score:
    """A proxy's value for an architecture on a task; `value` None where there is none.

    Then the note says why: the score does not apply, the network cannot be built or run, or the
    value was degenerate (NaN, infinite, beyond all bounds).
    """

    proxy: str
    architecture: Architecture
    value: float | None
    wall_s: float
    note: str = ""

    @property
    def rank_value(self) -> float | None:
        """What architectures are ranked by: a degenerate value is below all others.

        None where nothing was measured: such a score says nothing of the architecture.
        """
        return -math.inf if self.note.startswith(DEGENERATE) else self.value


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Rank correlation of a proxy with a run's trained results.

    `partial` is the one that is left `given` parameter count and depth, None where neither is
    known; `weight` is the proxy's in the model of the run, in standard deviations of the scores
    for one of the proxy, None where it has none.
    """

    proxy: str
    n: int
    spearman: float
    low: float
    high: float
    given: tuple[str, ...] = ()
    partial: float | None = None
    partial_low: float | None = None
    partial_high: float | None = None
    weight: float | None = None


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A line of a run's small journal: something that must happen once a step, and did."""

    run_id: str
    name: str
    step: int
    data: Mapping[str, Any]
