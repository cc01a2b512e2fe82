"""The analyst asks proxies sparingly, about what comes next, and none that was demoted."""

import asyncio
from dataclasses import replace

import numpy as np

from vitruvius.agents.analyst.analyst import FEWEST, MOST, SEEN, SHARE, Analyst, allowance
from vitruvius.agents.chairs.view import RunView
from vitruvius.budget import Budget
from vitruvius.evals.synthetic import SyntheticTask, create_space
from vitruvius.memory.model.proxy_scores import board_of
from vitruvius.memory.records import Calibration, Score, Spent
from vitruvius.memory.testing import closed_trial
from vitruvius.spaces.region import Region
from vitruvius.spaces.space import distinct
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.task import Task, TrainableTask
from vitruvius.tools.calls.proxy import Proxy
from vitruvius.tools.calls.tool import Tool

SPACE = create_space()
DIGITS = load_task("digits")


def view(task: Task = DIGITS, trials: int = 12, seed: int = 0) -> RunView:
    rng = np.random.default_rng(seed)
    tried = distinct(SPACE.sample(rng) for _ in range(trials))
    return RunView(
        run_id="run",
        step=trials,
        seed=seed,
        space=SPACE,
        task=task,
        region=Region(SPACE),
        trials=[closed_trial(i, a, float(rng.standard_normal())) for i, a in enumerate(tried, 1)],
        principles=(),
        cuts=(),
        decisions=(),
        calibrations=(),
        noise=None,
        budget=Budget(),
        spent=Spent(trials=trials, wall_s=0.0, tokens=0, dollars=0.0),
        k=1,
        proxies=("params", "snip"),
    )


def decided(view: RunView) -> Tool:
    return asyncio.run(Analyst().decide(view)).decision


def test_it_asks_about_its_trials_and_then_what_it_would_train() -> None:
    there = view()
    question = decided(there)
    assert isinstance(question, Proxy)
    assert FEWEST <= len(question.architectures) <= MOST
    asked = [SPACE.parse(spec) for spec in question.architectures]
    assert asked[: len(there.trials)] == [trial.architecture for trial in there.trials]
    assert len(set(asked)) == len(asked)
    assert question.proxies == ["params", "snip"]
    assert decided(view()) == question


def test_it_stays_within_its_share() -> None:
    there = view(trials=20)
    assert isinstance(DIGITS, TrainableTask)
    trained = len(DIGITS.load().train.labels) * DIGITS.recipe.epochs * 21
    assert allowance(there) * SEEN <= SHARE * trained
    assert decided(replace(there, asked=allowance(there))).tool == "train"


def test_a_table_is_never_asked_and_neither_is_one_without_proxies() -> None:
    assert decided(view(SyntheticTask())).tool == "train"
    assert decided(replace(view(), proxies=())).tool == "train"


def test_a_demoted_proxy_is_asked_no_more() -> None:
    null = Calibration(proxy="snip", n=60, spearman=0.0, low=-0.25, high=0.25)
    question = decided(replace(view(), calibrations=(null,)))
    assert isinstance(question, Proxy)
    assert question.proxies == ["params"]


def test_scores_order_what_is_trained() -> None:
    """What a good proxy puts first is chosen among candidates that the features cannot tell."""
    rng = np.random.default_rng(0)
    there = view(SyntheticTask(), trials=40)
    more = distinct(SPACE.sample(rng) for _ in range(200))
    everyone = distinct([*(trial.architecture for trial in there.trials), *more])
    quality = dict(zip(everyone, rng.standard_normal(len(everyone)), strict=True))
    told = [Score(proxy="good", architecture=a, value=q, wall_s=0.0) for a, q in quality.items()]
    trials = [replace(trial, value=quality[trial.architecture]) for trial in there.trials]
    hearing = replace(there, trials=trials, board=board_of(told))
    decision = decided(hearing)
    assert decision.tool == "train"
    chosen = SPACE.parse(decision.architectures[0])
    assert quality[chosen] > np.quantile(list(quality.values()), 0.95)
