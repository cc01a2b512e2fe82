"""What a report says beyond its trials: the baseline, what decides, what a cut saved, what next."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest

from vitruvius.memory.evidence.effects import FeatureEffect, feature_effects, measure, rule_of
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.model.ranking import learn
from vitruvius.memory.records import Origin, PrincipleVersion, ResultStatus, RunStatus, Trial
from vitruvius.spaces.registry import load_space
from vitruvius.spaces.space import Architecture, SearchSpace
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.task import Metric
from vitruvius.tools.report import Report, build_report, to_markdown
from vitruvius.tools.report.finalists import baseline_of
from vitruvius.tools.report.suggestions import suggestions_of

ACCURACY = Metric(name="accuracy", unit="%")


class Story(Protocol):
    home: Path
    run_id: str
    values: dict[int, float | None]
    archs: list[Architecture]


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return load_space("nb201")


@pytest.fixture(scope="module")
def report(same_story: Story, space: SearchSpace) -> Report:
    with Ledger.open(same_story.home) as ledger:
        return build_report(ledger, same_story.run_id, space, load_task("mnist1d"))


def trial(number: int, architecture: Architecture, value: float | None, **more: Any) -> Trial:
    fields: dict[str, Any] = {
        "run_id": "r", "number": number, "result_id": number, "decision_id": None,
        "architecture": architecture, "fidelity": "8ep", "seed": 0, "origin": Origin.EXPLORE,
        "propensity": 1.0, "reused": False, "status": ResultStatus.DONE, "value": value,
        "train_s": 1.0, "params": None, "flops": None, "message": None,
    } | more  # fmt: skip
    return Trial(**fields)


def planted(space: SearchSpace, count: int = 60) -> list[Trial]:
    """Trials whose value rests on one edge alone, and a little noise."""
    rng = np.random.default_rng(4)
    drawn = [space.sample(rng) for _ in range(count)]
    return [
        trial(n, a, (5.0 if a.spec["edge_0_3"] == "nor_conv_3x3" else 0.0) + float(rng.normal()))
        for n, a in enumerate(drawn, start=1)
    ]


def test_the_planted_feature_decides(space: SearchSpace) -> None:
    found = feature_effects(space, ACCURACY, learn(planted(space), ACCURACY))
    by_name: dict[str, FeatureEffect] = {one.feature.name: one for one in found}
    first = by_name["edge_0_3=nor_conv_3x3"]
    assert first.is_clear
    assert first.low > 0
    assert first.effect == max(one.effect for one in found)
    assert [abs(one.effect) for one in found] == sorted(
        (abs(o.effect) for o in found), reverse=True
    )
    assert {n for n in first.supporting} <= set(range(1, 61))


def test_the_effect_of_a_feature_is_that_of_the_principle_that_says_it(space: SearchSpace) -> None:
    trials = planted(space)
    for one in feature_effects(space, ACCURACY, learn(trials, ACCURACY))[:6]:
        version = PrincipleVersion(
            principle=1, version=1, statement="s", rule=rule_of(one.feature), space_name="nb201",
            task_name="t", author="a", run_id="r", step=0, edit="add", rationale="", parents=(),
            created=None,  # type: ignore[arg-type]
        )  # fmt: skip
        (evidence,) = measure(
            run_id="r", space=space, metric=ACCURACY, trials=trials, versions=[version],
            previous={}, proposed_ever=1,
        )  # fmt: skip
        assert one.effect == pytest.approx(evidence.effect)
        assert (one.n_in, one.n_out) == (evidence.n_in, evidence.n_out)
        assert one.low >= evidence.low - 1e-9  # the principle's interval pays for its looks


def test_too_few_trials_decide_nothing(space: SearchSpace) -> None:
    assert feature_effects(space, ACCURACY, learn(planted(space, 3), ACCURACY)) == []


def test_the_random_arm_is_the_baseline_where_there_is_one(
    same_story: Story, report: Report
) -> None:
    assert report.baseline is not None
    assert report.baseline.kind == "random arm"
    best = max((15, 16), key=lambda n: same_story.values[n] or 0.0)
    assert report.baseline.found.number == best
    assert report.baseline.among == (15, 16)


def test_the_best_uniform_draw_stands_in_for_an_arm(
    same_story: Story, report: Report, space: SearchSpace
) -> None:
    assert report.best is not None
    trials = [t for t in report.trials if t.origin != Origin.CONTROL]
    found = baseline_of(space, trials, report.metric, report.best.finalist, report.noise)
    assert found is not None
    assert found.kind == "uniform draws"
    assert found.found.number == max(
        (n for n in range(1, 9) if same_story.values[n] is not None),
        key=lambda n: same_story.values[n] or 0,
    )


def test_a_typical_draw_stands_in_where_the_best_draw_is_the_answer(
    report: Report, space: SearchSpace
) -> None:
    assert report.best is not None
    answer = report.best.finalist
    own = [trial(n, a, 50.0 + n) for n, a in enumerate(_others(report, answer.architecture), 1)]
    trials = [*own, trial(99, answer.architecture, 99.0)]
    found = baseline_of(space, trials, report.metric, answer, None)
    assert found is not None
    assert found.kind == "typical draw"
    assert found.found.number == 4  # the middle one of eight values
    assert found.half is None
    alone = baseline_of(space, trials[-1:], report.metric, answer, None)
    assert alone is None


def _others(report: Report, answer: Architecture) -> list[Architecture]:
    every = dict.fromkeys(t.architecture for t in report.trials if t.architecture != answer)
    return list(every)[:7]


def told(report: Report, **changes: Any) -> list[str]:
    return [one.what for one in suggestions_of(replace(report, **changes))]


def test_the_gravest_step_comes_first(report: Report) -> None:
    stopped = replace(report.run, status=RunStatus.INTERRUPTED)
    assert told(report, run=stopped)[0] == "Let the run end"
    assert told(report)[0] != "Let the run end"


def test_an_unconfirmed_noisy_best_is_to_be_trained_again(report: Report) -> None:
    assert report.best is not None
    bare = replace(report.best, finalist=replace(report.best.finalist, confirmed=None))
    again = "Train the best network again on fresh seeds"
    assert again in told(report, best=bare)
    assert again not in told(report, best=bare, is_noisy=False)
    assert again not in told(report)


def test_a_cut_that_holds_good_trials_outside_is_to_be_undone(report: Report) -> None:
    first = replace(report.cuts[0], as_good_outside=(3,))
    assert "Undo cut 1" in told(report, cuts=[first])
    assert "Undo cut 1" not in told(report, cuts=[replace(first, as_good_outside=())])


def test_going_on_is_advised_only_where_something_promises(report: Report) -> None:
    likely = replace(report.promising[0], chance=0.5)
    unlikely = replace(likely, chance=0.001)
    assert "Go on searching" in told(report, promising=[likely])
    assert "Go on searching" not in told(report, promising=[unlikely])


def test_a_command_of_hostile_references_is_one_word_for_the_shell(report: Report) -> None:
    import shlex

    run = replace(report.run, task_ref="x; rm -rf ~", space_ref="$(evil)")
    for one in suggestions_of(replace(report, run=run)):
        if one.command is not None and "--space" in one.command:
            assert {"x; rm -rf ~", "$(evil)"} <= set(shlex.split(one.command))


def test_the_untried_are_untried_and_ordered(report: Report) -> None:
    tried = {t.architecture for t in report.trials}
    assert report.promising
    assert not tried & {one.architecture for one in report.promising}
    chances = [one.chance for one in report.promising]
    assert chances == sorted(chances, reverse=True)
    assert all(0 <= chance <= 1 for chance in chances)


def test_both_renderings_say_the_same(report: Report) -> None:
    text = to_markdown(report)
    assert "## What decides" in text
    assert "## What to try next" in text
    for one in report.suggestions:
        assert one.what in text
    assert f"{report.effects[0].effect:+.2f}" in text
