"""Trials and versions for tests and evals, with what they do not care about filled in."""

from __future__ import annotations

from datetime import UTC, datetime

from vitruvius.memory.records import Origin, PrincipleVersion, ResultStatus, Trial
from vitruvius.spaces.rules import Rule
from vitruvius.spaces.space import Architecture


def closed_trial(
    number: int,
    architecture: Architecture,
    value: float | None,
    *,
    origin: Origin = Origin.ARCHITECT,
    status: ResultStatus | None = None,
    fidelity: str = "8ep",
    seed: int = 0,
    params: int | None = None,
    flops: int | None = None,
) -> Trial:
    """Returns a closed trial; uniform draws have propensity 1."""
    is_uniform = origin in (Origin.EXPLORE, Origin.CONTROL)
    ended = ResultStatus.FAILED if value is None else ResultStatus.DONE
    return Trial(
        run_id="run",
        number=number,
        result_id=number,
        decision_id=None,
        architecture=architecture,
        fidelity=fidelity,
        seed=seed,
        origin=origin,
        propensity=1.0 if is_uniform else None,
        reused=False,
        status=status or ended,
        value=value,
        train_s=1.0,
        params=params,
        flops=flops,
        message=None,
    )


def first_version(principle: int, rule: Rule, run_id: str = "run") -> PrincipleVersion:
    """Returns version 1 of a principle that a run wrote."""
    return PrincipleVersion(
        principle=principle,
        version=1,
        statement="stated for a test",
        rule=rule,
        space_name="test",
        task_name="test",
        author="test",
        run_id=run_id,
        step=0,
        edit="add",
        rationale="a test",
        parents=(),
        created=datetime(2026, 1, 1, tzinfo=UTC),
    )
