"""The judge of principles: a true rule foretells unseen trials, a null rule does not."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from runs.scripted import able_model
from scipy.stats import multivariate_t

import vitruvius as vt
from vitruvius.agents.model.scripted_server import ScriptedServer
from vitruvius.evals.studies.principle_judge import (
    MINED,
    OFFSET_VARIANCE,
    RATE,
    SHAPE,
    SPREADS,
    Look,
    Verdict,
    judge,
    judge_run,
    log_predictive,
    to_table,
)
from vitruvius.evals.synthetic import create_space
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import Origin, Trial
from vitruvius.memory.testing import closed_trial
from vitruvius.spaces.rules import Rule, SlotCondition
from vitruvius.spaces.slots import SlotSpace
from vitruvius.tasks.task import Metric


def rule(**choices: str) -> Rule:
    parts = (SlotCondition(slot=slot, choices=(choice,)) for slot, choice in choices.items())
    return Rule(stance="require", all=tuple(parts))


TRUE = rule(slot_0="op1", slot_3="op2")  # an interaction: one draw in 25 has it
NULL = rule(slot_7="op0", slot_8="op4")


def trials_of(space: SlotSpace, n: int, seed: int) -> list[Trial]:
    """Trials whose score is the true rule, the choice of one slot, and noise."""
    rng = np.random.default_rng(seed)
    trials = []
    for number in range(1, n + 1):
        spec = dict(space.sample(rng).spec)
        if rng.uniform() < 0.4:
            spec |= {"slot_0": "op1", "slot_3": "op2"}
        is_true = spec["slot_0"] == "op1" and spec["slot_3"] == "op2"
        value = 3.0 * is_true + (spec["slot_5"] == "op0") + 0.3 * rng.normal()
        architecture = space.parse(spec)
        trial = closed_trial(number, architecture, value, origin=Origin.EXPLORE)
        trials.append(trial)
    return trials


def test_a_true_rule_gains_and_a_null_rule_does_not() -> None:
    space, metric = create_space(), Metric(name="score", direction="max", unit="")
    pooled: dict[str, Verdict] = {}
    for seed in range(4):
        trials = trials_of(space, 28, seed)
        looks = [
            Look(seen=8, rules={"sage": [TRUE], "fool": [NULL]}),
            Look(seen=16, rules={"sage": [TRUE], "fool": [NULL]}),
        ]
        for author, verdict in judge(space, metric, trials, looks).items():
            pooled.setdefault(author, Verdict()).add(verdict)
    assert len(pooled["sage"].over_none) == 4 * 20
    assert np.mean(pooled["sage"].over_none) > 0.3
    assert np.mean(pooled["sage"].over_mined) > 0.1
    assert -0.2 < np.mean(pooled["fool"].over_none) < 0.05
    assert np.mean(pooled["fool"].over_mined) < 0.05


def test_a_rule_that_was_mined_as_well_adds_nothing() -> None:
    space, metric = create_space(), Metric(name="score", direction="max", unit="")
    trials = trials_of(space, 60, 1)
    looks = [Look(seen=40, rules={"sage": [TRUE], "silent": []})]
    verdicts = judge(space, metric, trials, looks)
    assert np.mean(verdicts[MINED].over_none) > 0.2
    assert verdicts["silent"].over_mined == [0.0] * 20
    assert verdicts["silent"].over_none == [0.0] * 20


def test_the_predictive_density_is_that_of_the_conjugate_model() -> None:
    rng = np.random.default_rng(0)
    known, scores = rng.integers(0, 2, (7, 2)).astype(float), rng.normal(size=7)
    unseen, truth = rng.integers(0, 2, (1, 2)).astype(float), rng.normal(size=1)
    rows = np.hstack([np.ones((8, 1)), np.vstack([known, unseen]) - 0.5])

    def joint(n: int, spread: float) -> float:
        prior = np.diag([OFFSET_VARIANCE, spread**2, spread**2])
        shape = RATE / SHAPE * (np.eye(n) + rows[:n] @ prior @ rows[:n].T)
        both = np.concatenate([scores, truth])[:n]
        return float(multivariate_t.logpdf(both, shape=shape, df=2 * SHAPE))

    best = max(SPREADS, key=lambda spread: joint(7, spread))
    expected = joint(8, best) - joint(7, best)
    assert log_predictive(known, scores, unseen, truth) == pytest.approx([expected])


def test_a_run_is_judged_from_its_ledger(tmp_path: Path, chat_server: ScriptedServer) -> None:
    chat_server.otherwise = able_model()
    tiny = Path(__file__).parents[1] / "runs/tiny.py"
    search: Callable[..., vt.SearchRun] = vt.search
    run = search(
        f"{tiny}:lookup", f"{tiny}:space", "24 trials", home=tmp_path, workers=1,
        model="scripted", base_url=chat_server.url, api_key="not-a-real-key-12345",
    )  # fmt: skip
    with Ledger.open(tmp_path) as ledger:
        verdicts = judge_run(ledger, run.id, run.space, run.task.metric)
        calls = [call for call in ledger.steps.calls(run.id) if call.chair == "theorist"]
    verdict = verdicts["scripted"]
    assert verdict.proposed >= 1
    assert verdict.tokens == sum(call.tokens_in + call.tokens_out for call in calls) > 0
    assert verdict.gain_per_1000_tokens is not None
    assert len(verdict.over_none) == len(verdicts[MINED].over_none) > 0
    assert f"| scripted | {verdict.proposed} |" in to_table(verdicts)
