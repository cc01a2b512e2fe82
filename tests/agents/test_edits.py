"""The analyst's edits: few, bounded, read from the posterior, and in plain words."""

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from vitruvius.agents.analyst.edits import MAX_ADDS, MAX_LIVE, propose_edits, statement
from vitruvius.agents.analyst.mining import Miner, hypotheses, overlaps
from vitruvius.agents.chairs.view import PrincipleView, RunView
from vitruvius.budget import Budget
from vitruvius.memory.edits import Edit
from vitruvius.memory.evidence.contrasts import describe_population
from vitruvius.memory.evidence.effects import licenses_cut, measure
from vitruvius.memory.model.ranking import learn
from vitruvius.memory.records import Evidence, Origin, Spent, Standing, Trial
from vitruvius.memory.testing import closed_trial, first_version
from vitruvius.spaces.cells.cell import Cell
from vitruvius.spaces.macro import Macro
from vitruvius.spaces.region import Region
from vitruvius.spaces.rules import Rule, check_rule, holds
from vitruvius.spaces.space import Architecture, SearchSpace, reference_features
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.task import Metric

UP = Metric(name="accuracy")
TASK = load_task("mnist1d")


def value(architecture: Architecture) -> float:
    spec = architecture.spec
    if "edge_0_3" in spec:
        convs = sum("conv" in choice for choice in spec.values())
        return 10.0 * (len(set(spec.values())) > 1) + convs + 3 * (spec["edge_0_3"] != "none")
    return float(spec["depth"]) - 3 * (spec["normalisation"] == "none")


def uniform(space: SearchSpace, count: int, seed: int = 0) -> list[Trial]:
    rng = np.random.default_rng(seed)
    drawn = [space.sample(rng) for _ in range(count)]
    return [closed_trial(i + 1, a, value(a), origin=Origin.EXPLORE) for i, a in enumerate(drawn)]


def view_of(
    space: SearchSpace, trials: Sequence[Trial], principles: Sequence[PrincipleView] = ()
) -> RunView:
    return RunView(
        run_id="run",
        step=0,
        seed=0,
        space=space,
        task=TASK,
        region=Region(space),
        trials=trials,
        principles=principles,
        cuts=(),
        decisions=(),
        calibrations=(),
        noise=None,
        budget=Budget(),
        spent=Spent(trials=0, wall_s=0.0, tokens=0, dollars=0.0),
        k=1,
        proxies=(),
    )


def measured(
    space: SearchSpace, trials: Sequence[Trial], rules: Sequence[Rule], run_id: str = "run"
) -> list[PrincipleView]:
    versions = [first_version(i + 1, rule, run_id) for i, rule in enumerate(rules)]
    rows = measure(
        run_id="run",
        space=space,
        metric=UP,
        trials=trials,
        versions=versions,
        previous={},
        proposed_ever=len(rules),
    )
    return [
        PrincipleView(
            version=version, standing=row.standing, trust=0.0, source_effect=None, evidence=row
        )
        for version, row in zip(versions, rows, strict=True)
    ]


def rule(stance: str, *conditions: dict[str, object]) -> Rule:
    return Rule.model_validate({"stance": stance, "all": conditions})


def kinds(edits: Sequence[Edit]) -> list[str]:
    return [edit.edit for edit in edits]


@pytest.mark.parametrize("space", [Cell(), Macro()], ids=["cell", "macro"])
def test_hypotheses_fit_the_space_and_differ(space: SearchSpace) -> None:
    known = hypotheses(space)
    assert len(known.conditions) == len(known.met) > 20
    reference = reference_features(space)
    for conditions, met in list(zip(known.conditions, known.met, strict=True))[::7]:
        made = Rule(stance="require", all=conditions)
        check_rule(made, space)
        assert (holds(made, space, reference) == met).all()
    sides = {(met if met[0] else ~met).tobytes() for met in known.met}
    assert len(sides) == len(known.met)


@pytest.mark.parametrize("space", [Cell(), Macro()], ids=["cell", "macro"])
def test_first_rewrite_adds_a_few_true_rules(space: SearchSpace) -> None:
    trials = uniform(space, 60)
    edits = propose_edits(view_of(space, trials))
    assert 1 <= len(edits) <= MAX_ADDS
    assert set(kinds(edits)) == {"add"}
    rules = [edit.rule for edit in edits if edit.edit == "add"]
    assert len({rule.key for rule in rules}) == len(rules)
    assert all(view.standing == Standing.SUPPORTED for view in measured(space, trials, rules))
    assert propose_edits(view_of(space, trials)) == edits


def test_some_rules_license_a_cut() -> None:
    """A run of the analyst's own kind: most trials near the top."""
    space = Cell()
    members = list(space.members())
    rng = np.random.default_rng(0)
    best = sorted(members, key=value)[-400:]
    chosen = [best[i] for i in rng.permutation(400)[:40]]
    trials = uniform(space, 20)
    trials += [closed_trial(21 + i, a, value(a)) for i, a in enumerate(chosen)]
    added = [e.rule for e in propose_edits(view_of(space, trials)) if e.edit == "add"]
    views = measured(space, trials, added)
    assert any(view.evidence and licenses_cut(view.evidence) for view in views)


def test_nothing_is_claimed_from_few_trials_or_pure_noise() -> None:
    space = Cell()
    assert propose_edits(view_of(space, uniform(space, 7))) == []
    rng = np.random.default_rng(0)
    noise = [replace(t, value=float(rng.standard_normal())) for t in uniform(space, 40)]
    edits = propose_edits(view_of(space, noise))
    views = measured(space, noise, [e.rule for e in edits if e.edit == "add"])
    assert not any(view.standing == Standing.SUPPORTED for view in views)


def test_statements_are_words_without_figures_of_effect() -> None:
    space = Cell()
    for edit in propose_edits(view_of(space, uniform(space, 60))):
        assert edit.edit == "add"
        assert edit.statement.endswith(".")
        assert edit.statement.startswith(("Prefer architectures with", "Avoid architectures with"))
        assert re.search(r"contrast is [+-]\d", edit.rationale)
        assert "contrast" not in edit.statement


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (
            rule("avoid", {"slot": "edge_0_3", "choices": ["none", "skip_connect"]}),
            "Avoid architectures with none or skip_connect at edge_0_3.",
        ),
        (
            rule("avoid", {"feature": "paths", "at_most": 0}),
            "Avoid architectures without paths (paths from input to output, 0 to 4).",
        ),
        (
            rule("require", {"feature": "share(kind=conv)", "at_least": 0.5}),
            "Prefer architectures with share(kind=conv) of at least 0.5 "
            "(share of the 6 slots whose choice has kind=conv).",
        ),
        (
            rule("require", {"feature": "path(conv, input -> output)", "at_least": 1}),
            "Prefer architectures with path(conv, input -> output) "
            "(some path from input to output has a convolution).",
        ),
    ],
)
def test_phrases(made: Rule, expected: str) -> None:
    assert statement(made, Cell()) == expected


def test_contradicted_redundant_and_worn_out_principles_are_retired() -> None:
    space = Cell()
    trials = uniform(space, 60)
    rules = [
        rule("require", {"slot": "edge_0_3", "choices": ["none"]}),
        rule("avoid", {"slot": "edge_0_3", "choices": ["none"]}),
        rule(
            "require",
            {
                "slot": "edge_0_3",
                "choices": ["skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"],
            },
        ),
        rule("require", {"slot": "edge_1_2", "choices": ["avg_pool_3x3"]}),
    ]
    views = measured(space, trials, rules)
    assert views[0].standing == Standing.CONTRADICTED
    worn = views[3].evidence
    assert isinstance(worn, Evidence)
    views[3] = replace(views[3], standing=Standing.CANDIDATE, evidence=replace(worn, look=5))
    edits = propose_edits(view_of(space, trials, views))
    retired = {edit.principle: edit.rationale for edit in edits if edit.edit == "retire"}
    assert "contradict" in retired["P1"]
    assert "same" in retired["P3"]
    assert "P2" not in retired
    assert "5 looks" in retired["P4"]


def test_a_contradicted_principle_of_another_run_is_given_up_and_turned_round() -> None:
    space = Cell()
    trials = uniform(space, 60)
    wrong = rule("require", {"slot": "edge_0_3", "choices": ["none"]})
    [view] = measured(space, trials, [wrong], run_id="another")
    assert view.standing == Standing.CONTRADICTED
    edits = propose_edits(view_of(space, trials, [view]))
    assert [e.principle for e in edits if e.edit == "retire"] == ["P1"]
    assert "revise" not in kinds(edits)
    turned = wrong.model_copy(update={"stance": "avoid"}).key
    assert turned in {edit.rule.key for edit in edits if edit.edit == "add"}


def test_other_principles_of_other_runs_are_left_alone() -> None:
    space = Cell()
    trials = uniform(space, 60)
    idle = rule("require", {"slot": "edge_1_2", "choices": ["avg_pool_3x3", "skip_connect"]})
    views = [
        replace(view, standing=standing)
        for standing in (Standing.CANDIDATE, Standing.WEAKENED)
        for view in measured(space, trials, [idle], run_id="another")
    ]
    for view in views:
        edits = propose_edits(view_of(space, trials, [view]))
        assert not {"retire", "revise", "narrow", "merge"} & set(kinds(edits))


def test_a_weak_threshold_is_revised() -> None:
    space = Macro()
    trials = uniform(space, 80)
    rules = [rule("require", {"feature": "reach", "at_least": 2})]
    edits = propose_edits(view_of(space, trials, measured(space, trials, rules)))
    revised = [edit for edit in edits if edit.edit == "revise"]
    assert [edit.principle for edit in revised] == ["P1"]
    assert revised[0].rule.all[0].feature == "reach"  # type: ignore[union-attr]


def test_two_rules_on_one_slot_are_merged() -> None:
    space = Cell()
    trials = [
        replace(t, value=(t.value or 0) - 6 * (t.architecture.spec["edge_0_3"] == "skip_connect"))
        for t in uniform(space, 120)
    ]
    rules = [
        rule("avoid", {"slot": "edge_0_3", "choices": ["none"]}),
        rule("avoid", {"slot": "edge_0_3", "choices": ["skip_connect"]}),
    ]
    views = measured(space, trials, rules)
    assert {view.standing for view in views} == {Standing.SUPPORTED}
    merged = [e for e in propose_edits(view_of(space, trials, views)) if e.edit == "merge"]
    assert [edit.principles for edit in merged] == [("P1", "P2")]
    assert merged[0].rule.all[0].choices == ("none", "skip_connect")  # type: ignore[union-attr]


def after(rules: Sequence[Rule], edits: Sequence[Edit]) -> list[Rule]:
    """The rules that edits leave; the principle of a rule is named by its place."""
    gone, held = set[str](), {f"P{place}": rule for place, rule in enumerate(rules, start=1)}
    for edit in edits:
        if edit.edit != "add":
            gone |= set(edit.principles) if edit.edit == "merge" else {edit.principle}
    kept = [rule for name, rule in held.items() if name not in gone]
    new = [edit.rule for edit in edits if edit.edit != "retire"]
    return list({rule.key: rule for rule in (*kept, *new)}.values())


def test_live_principles_stay_few_over_many_rewrites() -> None:
    space = Cell()
    trials, views = uniform(space, 160), list[PrincipleView]()
    for upto in range(16, 161, 16):
        edits = propose_edits(view_of(space, trials[:upto], views))
        assert kinds(edits).count("add") <= MAX_ADDS
        rules = after([view.version.rule for view in views], edits)
        views = measured(space, trials[:upto], rules)
        assert len(views) <= MAX_LIVE
    assert any(view.standing == Standing.SUPPORTED for view in views)


def test_miner_agrees_with_measure() -> None:
    space = Cell()
    trials = uniform(space, 50)
    rules = [
        rule("avoid", {"slot": "edge_0_3", "choices": ["none"]}),
        rule("require", {"feature": "depth", "at_least": 2}),
    ]
    population = describe_population(space, learn(trials, UP))
    found = Miner(space, population).judge(rules)
    for finding, view in zip(found, measured(space, trials, rules), strict=True):
        assert view.evidence is not None
        assert finding.effect == pytest.approx(view.evidence.effect, abs=1e-4)
        assert finding.top_loss_high == pytest.approx(view.evidence.top_loss_high)
        assert finding.removed == pytest.approx(1 - view.evidence.kept)


def test_explained_is_what_least_squares_says() -> None:
    space = Cell()
    population = describe_population(space, learn(uniform(space, 50), UP))
    miner = Miner(space, population)
    one, other = miner.judge(
        [
            rule("avoid", {"slot": "edge_0_3", "choices": ["none"]}),
            rule("require", {"feature": "depth", "at_least": 2}),
        ]
    )
    mean = population.mean - population.mean.mean()
    columns = np.array([one.kept, other.kept], dtype=float).T
    columns -= columns.mean(axis=0)
    fitted = columns @ np.linalg.lstsq(columns, mean, rcond=None)[0]
    both = miner.explained([one])[0] + miner.explained([other], [one])[0]
    assert both == pytest.approx(fitted @ fitted / (mean @ mean))
    assert miner.explained([one])[0] == pytest.approx(np.corrcoef(one.kept, mean)[0, 1] ** 2)
    assert miner.explained([one], [one])[0] == 0.0
    correlation = np.corrcoef(one.kept, other.kept)[0, 1]
    assert overlaps([one], [one, other])[0] == pytest.approx([1, correlation])
    assert overlaps([one], []).shape == (1, 0)


def test_screen_turns_rules_to_the_better_side() -> None:
    space = Cell()
    miner = Miner(space, describe_population(space, learn(uniform(space, 60), UP)))
    found = miner.screen(hypotheses(space))
    judged = miner.judge([finding.rule for finding in found])
    for finding, again in zip(found, judged, strict=True):
        assert finding.is_clear
        assert (finding.kept == again.kept).all()
        assert finding.effect == pytest.approx(again.effect, abs=1e-4)
        assert finding.top_loss_high == pytest.approx(again.top_loss_high)
