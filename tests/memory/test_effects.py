"""What a run's trials say of rules: equal to brute force, honest, and slow to license a cut."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtri

from vitruvius.memory.evidence.contrasts import (
    TOP_STRETCH,
    Population,
    best_of_draws,
    contrast,
    describe_population,
)
from vitruvius.memory.evidence.effects import (
    ALPHA,
    discoveries,
    licenses_cut,
    lift,
    measure,
    spent_alpha,
)
from vitruvius.memory.model.ranking import learn, noise_floor
from vitruvius.memory.records import Evidence, Origin, ResultStatus, Standing, Trial
from vitruvius.memory.testing import closed_trial, first_version
from vitruvius.spaces.region import Cut, Region
from vitruvius.spaces.rules import RangeCondition, Rule, SlotCondition, holds
from vitruvius.spaces.slots import SlotSpace
from vitruvius.spaces.space import Architecture, Choice, Slot, reference_features, reference_sample
from vitruvius.tasks.task import Metric

UP, DOWN = Metric(name="accuracy"), Metric(name="loss", direction="min")
GOOD = {"relu": 3.0, "tanh": 1.0, "none": 0.0}


def choices(*names: str) -> tuple[Choice, ...]:
    return tuple(Choice(name=name) for name in names)


SPACE = SlotSpace(
    "small",
    [
        Slot(name="first", choices=choices(*GOOD)),
        Slot(name="second", choices=choices(*GOOD)),
        Slot(name="idle", choices=choices("on", "off")),
        Slot(name="width", choices=tuple(Choice(name=str(n), value=n) for n in (1, 2, 4))),
    ],
)


def value(architecture: Architecture) -> float:
    spec = architecture.spec
    return 10 + GOOD[spec["first"]] + 0.5 * GOOD[spec["second"]] + 0.3 * int(spec["width"])


def run(count: int | None = None, origin: Origin = Origin.EXPLORE, seed: int = 0) -> list[Trial]:
    members = list(SPACE.members() or ())
    rng = np.random.default_rng(seed)
    picked = [members[i] for i in rng.permutation(len(members))[:count]]
    return [closed_trial(i + 1, a, value(a), origin=origin) for i, a in enumerate(picked)]


def at(slot: str, *names: str, stance: str = "require") -> Rule:
    return Rule.model_validate({"stance": stance, "all": [{"slot": slot, "choices": names}]})


RULES = [
    at("first", "relu"),
    at("first", "none"),
    at("first", "none", stance="avoid"),
    at("second", "relu"),
    at("idle", "on"),
    Rule(stance="require", all=(RangeCondition(feature="width", at_least=2),)),
    Rule(
        stance="avoid",
        all=(
            SlotCondition(slot="first", choices=("none",)),
            SlotCondition(slot="second", choices=("none",)),
        ),
    ),
]


def evidence_of(
    trials: list[Trial],
    rules: list[Rule],
    previous: dict[tuple[int, int], Evidence] | None = None,
    metric: Metric = UP,
    proposed: int = 0,
    region: Region | None = None,
) -> list[Evidence]:
    return measure(
        run_id="run",
        space=SPACE,
        metric=metric,
        trials=trials,
        versions=[first_version(i + 1, rule) for i, rule in enumerate(rules)],
        previous=previous or {},
        proposed_ever=proposed,
        region=region,
    )


def brute_force_effect(rule: Rule) -> float:
    """Mean normal score of the whole space where the rule holds minus where it does not."""
    members = list(SPACE.members() or ())
    drawn = list(reference_sample(SPACE))
    weights = np.array([drawn.count(member) for member in members], dtype=float)
    values = np.array([value(member) for member in members])
    ranks = [
        (weights[values < v].sum() + 0.5 * weights[values == v].sum()) / weights.sum()
        for v in values
    ]
    scores = ndtri(np.array(ranks))
    met = np.array([bool(holds(rule, SPACE, SPACE.featurise([m]))[0]) for m in members])
    inner = np.average(scores[met], weights=weights[met])
    return float(inner - np.average(scores[~met], weights=weights[~met]))


def test_measure_equals_brute_force_where_everything_was_tried() -> None:
    found = evidence_of(run(), RULES)
    for rule, row in zip(RULES, found, strict=True):
        truth = brute_force_effect(rule)
        assert row.effect == pytest.approx(truth, abs=0.1), rule.key
        assert row.low <= truth <= row.high


def test_contrast_and_retained_top_equal_loops_over_the_draws() -> None:
    population = describe_population(SPACE, learn(run(30), UP))
    reference = reference_features(SPACE)
    inside = np.arange(2000) % 3 > 0
    for rule in RULES:
        met = holds(rule, SPACE, reference)
        here = np.zeros(30, np.bool_)
        found = contrast(population, met, here, best_of_draws(population, inside), UP)
        losses = []
        contrasts = []
        for draw in population.draws:
            stretched = population.mean + TOP_STRETCH * (draw - population.mean)
            rows = sorted(np.flatnonzero(inside), key=lambda i: -stretched[i])
            best = rows[: round(0.01 * inside.sum())]
            losses.append(np.mean([not met[i] for i in best]))
            contrasts.append(draw[met].mean() - draw[~met].mean())
        assert found.effect == pytest.approx(
            population.mean[met].mean() - population.mean[~met].mean()
        )
        assert found.sd == pytest.approx(np.std(contrasts))
        assert found.top_loss == pytest.approx(np.mean(losses))
        high = max(np.mean(losses), np.quantile(losses, 0.9))
        assert found.top_loss_high == pytest.approx(high)
        assert found.kept == pytest.approx(met.mean())


def test_a_rule_and_its_opposite_have_opposite_effects() -> None:
    require, avoid = evidence_of(
        run(40), [at("first", "none"), at("first", "none", stance="avoid")]
    )
    assert require.effect == pytest.approx(-avoid.effect)
    assert require.standing == Standing.CONTRADICTED
    assert avoid.standing == Standing.SUPPORTED
    assert require.supporting == avoid.contradicting
    assert set(avoid.supporting).isdisjoint(avoid.contradicting)


def test_chosen_trials_do_not_bias_the_effect() -> None:
    """Choosing relu first where width is small makes raw means mislead, not the contrast."""
    members = list(SPACE.members() or ())
    chosen = [
        a
        for a in members
        if (a.spec["first"] == "relu") == (a.spec["width"] == "1" and a.spec["second"] == "none")
    ]
    trials = [closed_trial(i + 1, a, value(a)) for i, a in enumerate(chosen[:30])]
    drawn = [
        closed_trial(i + 31, a, value(a), origin=Origin.EXPLORE) for i, a in enumerate(members[::5])
    ]
    (row,) = evidence_of([*trials, *drawn], [at("first", "relu")])
    assert row.effect > 0.4


def test_an_idle_slot_is_never_supported() -> None:
    """Four runs, looked at seven times each; evals/studies/verification.py does so at large."""
    for seed in range(4):
        trials = run(44, seed=seed)
        previous: dict[tuple[int, int], Evidence] = {}
        for upto in range(8, 45, 6):
            for row in evidence_of(trials[:upto], [at("idle", "on")], previous):
                previous[row.principle, row.version] = row
                assert row.standing == Standing.CANDIDATE


def test_looks_are_counted_and_widen_the_interval() -> None:
    trials = run(30)
    (first,) = evidence_of(trials[:20], [at("second", "relu")])
    previous = {(1, 1): first}
    (second,) = evidence_of(trials, [at("second", "relu")], previous)
    (alone,) = evidence_of(trials, [at("second", "relu")])
    assert (first.look, second.look, alone.look) == (1, 2, 1)
    assert second.high - second.low > alone.high - alone.low
    assert second.p_value > alone.p_value
    (again,) = evidence_of(trials[:20], [at("second", "relu")], previous)
    assert again == first


def test_all_looks_together_spend_alpha() -> None:
    assert sum(spent_alpha(look) for look in range(1, 200_000)) == pytest.approx(ALPHA, rel=1e-4)


def test_a_supported_rule_that_loses_support_is_weakened() -> None:
    trials = run(40, seed=1)
    both = [at("idle", "on"), at("idle", "off")]
    worse = both[int(np.argmin([row.effect for row in evidence_of(trials, both)]))]
    (row,) = evidence_of(trials, [worse])
    before = replace(row, standing=Standing.SUPPORTED, up_to=1)
    (after,) = evidence_of(trials, [worse], {(1, 1): before})
    assert after.standing == Standing.WEAKENED
    (later,) = evidence_of(trials, [worse], {(1, 1): replace(after, up_to=2)})
    assert later.standing == Standing.WEAKENED


def test_support_outlives_the_widening_of_its_interval() -> None:
    """At a late look the anytime interval reaches zero; a plain one does not."""
    trials = run(24)
    (row,) = evidence_of(trials, [at("second", "relu")])
    plain = 1.96 * (row.high - row.low) / 2 / float(-ndtri(spent_alpha(1) / 2))
    assert row.effect > plain
    seen = replace(row, standing=Standing.SUPPORTED, look=10**14, up_to=1)
    (after,) = evidence_of(trials, [at("second", "relu")], {(1, 1): seen})
    assert after.standing == Standing.SUPPORTED
    assert (after.low, after.high) == (row.low, row.high)  # all looks share one error rate
    fresh = replace(seen, standing=Standing.CANDIDATE)
    (never,) = evidence_of(trials, [at("second", "relu")], {(1, 1): fresh})
    assert never.standing == Standing.CANDIDATE
    assert never.low < 0


def test_randomised_trials_that_contradict_the_model_prevent_support() -> None:
    population = describe_population(SPACE, learn(run(40), UP))
    rule = at("first", "relu")
    here = holds(rule, SPACE, SPACE.featurise([trial.architecture for trial in population.trials]))
    there = holds(rule, SPACE, reference_features(SPACE))
    agreed = contrast(population, there, here, best_of_draws(population), UP)
    assert agreed.doubly_robust is not None
    assert agreed.doubly_robust == pytest.approx(agreed.effect, abs=0.3)
    turned = replace(population, residuals=np.where(here, -3.0, 3.0))
    doubted = contrast(turned, there, here, best_of_draws(population), UP)
    assert doubted.doubly_robust is not None
    assert doubted.doubly_robust < 0 < doubted.effect


def test_more_rules_ever_proposed_raise_the_bar() -> None:
    p_values = [0.001, 0.03, 0.04, 0.9]
    assert discoveries(p_values, 4) == [True, True, True, False]
    assert discoveries(p_values, 40) == [True, False, False, False]
    assert discoveries(p_values, 1000) == [False, False, False, False]
    assert discoveries([], 3) == []


def test_only_a_supported_rule_that_keeps_the_top_licenses_a_cut() -> None:
    avoid, idle, half = evidence_of(
        run(45), [at("first", "none", stance="avoid"), at("idle", "on"), at("second", "tanh")]
    )
    assert licenses_cut(avoid)
    assert avoid.top_loss_high == 0.0
    assert not licenses_cut(replace(avoid, standing=Standing.WEAKENED))
    assert not licenses_cut(replace(avoid, top_loss_high=0.06))
    assert licenses_cut(replace(avoid, top_loss_high=0.06), limit=0.1)
    assert not licenses_cut(idle)
    assert not licenses_cut(half)


def test_lift_is_what_the_trials_make_of_the_odds() -> None:
    [half] = evidence_of(run(45), [at("idle", "on")])
    even = replace(half, kept=0.2, top_loss=0.8)
    assert lift(even) == pytest.approx(1)
    assert lift(replace(even, top_loss=0.5)) == pytest.approx(4)
    assert lift(replace(even, top_loss=1.0)) == 0
    assert lift(replace(even, top_loss=0.0)) > 1000
    assert lift(replace(even, kept=1.0, top_loss=0.0)) == 1


def test_the_retained_top_is_that_of_the_region() -> None:
    region = Region(SPACE).with_cut(
        Cut(number=1, rule=at("first", "relu", stance="avoid"), principle="P1.1", reason="")
    )
    rules = [at("first", "tanh", stance="avoid")]
    (whole,) = evidence_of(run(), rules)
    (rest,) = evidence_of(run(), rules, region=region)
    assert whole.top_loss < 0.05
    assert rest.top_loss > 0.9


def test_points_are_in_the_metrics_unit_and_direction() -> None:
    up = evidence_of(run(), [at("first", "relu")])[0]
    assert up.points == pytest.approx(2.5, abs=0.3)
    trials = [replace(trial, value=-(trial.value or 0)) for trial in run()]
    down = evidence_of(trials, [at("first", "relu")], metric=DOWN)[0]
    assert down.effect == pytest.approx(up.effect, abs=1e-6)
    assert down.points == pytest.approx(-2.5, abs=0.3)


def test_a_rule_that_everything_satisfies_says_nothing() -> None:
    always = Rule(stance="require", all=(RangeCondition(feature="width", at_least=0),))
    (row,) = evidence_of(run(20), [always])
    assert (row.effect, row.p_value, row.kept, row.standing) == (0.0, 1.0, 1.0, Standing.CANDIDATE)
    assert math.isfinite(row.low)
    assert math.isfinite(row.high)


def test_too_few_trials_give_no_evidence() -> None:
    assert evidence_of(run(3), RULES) == []
    assert evidence_of([], RULES) == []


def test_confirmations_and_plain_failures_do_not_count() -> None:
    trials = run(20)
    extra = [
        closed_trial(21, trials[0].architecture, 99.0, origin=Origin.CONFIRM),
        closed_trial(22, trials[1].architecture, None, status=ResultStatus.FAILED),
    ]
    plain, more = evidence_of(trials, RULES[:1])[0], evidence_of([*trials, *extra], RULES[:1])[0]
    assert (plain.n_in, plain.n_out, plain.effect) == (more.n_in, more.n_out, more.effect)


def test_noise_floor_is_pooled_over_repeats_near_the_top() -> None:
    a, b, c = (Architecture.of(i) for i in range(3))
    trials = [
        closed_trial(i + 1, architecture, number, seed=i)
        for i, (architecture, number) in enumerate(
            [(a, 90.0), (a, 92.0), (b, 80.0), (b, 60.0), (c, 70.0)]
        )
    ]
    assert noise_floor(trials, UP) == pytest.approx(math.sqrt(2))
    assert noise_floor(trials[2:], UP) == pytest.approx(math.sqrt(200))
    assert noise_floor(trials[:1], UP) is None
    assert noise_floor([], UP) is None


def test_population_scores_follow_the_order_of_the_trials() -> None:
    lesson = learn(run(30), UP)
    population: Population = describe_population(SPACE, lesson)
    order = np.argsort(lesson.scores, kind="stable")
    assert (np.diff(population.scores[order]) >= -1e-9).all()
