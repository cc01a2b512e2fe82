"""Sources become hints: what bears itself out is heard, and the run's trials have the last word."""

from dataclasses import replace

import numpy as np
import pytest

from vitruvius.evals.synthetic import SyntheticTask, create_space
from vitruvius.evals.table_sources import best_of, inverted, shuffled, table_source, top_reversed
from vitruvius.memory.model.gaussian_process import Surrogate
from vitruvius.memory.model.prior import Hint, Prior, combine
from vitruvius.memory.model.ranking import learn, normal_scores
from vitruvius.memory.records import Origin
from vitruvius.memory.testing import closed_trial
from vitruvius.memory.transfer.source_hints import Source, source_hints
from vitruvius.memory.transfer.space_overlap import match
from vitruvius.memory.transfer.weighing import fit_hinted, learned_weights, refusal, source_prior
from vitruvius.spaces.cells.cell import Cell
from vitruvius.spaces.cells.transnas import TransNas
from vitruvius.spaces.macro import Macro
from vitruvius.spaces.slots import SlotSpace
from vitruvius.spaces.space import Architecture, Choice, FloatArray, Slot, reference_features

SPACE, TASK = create_space(), SyntheticTask()


def drawn(count: int, seed: int = 0) -> list[Architecture]:
    rng = np.random.default_rng(seed)
    return [SPACE.sample(rng) for _ in range(count)]


def truth(architectures: list[Architecture]) -> FloatArray:
    return np.array([TASK.lookup(a, TASK.fidelity, 0).value for a in architectures])


@pytest.fixture(scope="module")
def source() -> Source:
    return table_source(SPACE, TASK, drawn(200))


def prior_of(*sources: Source) -> Prior:
    found = source_prior(SPACE, sources)
    assert found is not None
    return found


def agreement(prior: Prior) -> float:
    there = drawn(300, seed=1)
    return float(np.corrcoef(prior.mean(SPACE.featurise(there)), truth(there))[0, 1])


def learned(prior: Prior, count: int = 40, sign: float = 1.0) -> FloatArray:
    """The weights after so many uniform trials, over those expected before any."""
    there = drawn(count, seed=2)
    features = SPACE.featurise(there)
    scores = prior.rescaled(features, normal_scores(sign * truth(there)))
    return Surrogate.fit(SPACE, features, scores, prior).weights() / prior.weights


def test_a_source_expects_what_it_has_seen(source: Source) -> None:
    assert agreement(prior_of(source)) > 0.6


def test_the_best_alone_say_where_to_look(source: Source) -> None:
    assert agreement(prior_of(best_of(source, 20))) > 0.4


def test_what_is_not_trusted_says_nothing(source: Source) -> None:
    silent = replace(source, trust=0.0)
    assert source_prior(SPACE, [silent]) is None
    assert refusal(SPACE, silent) == "its trust is 0.00, below 0.05"


def test_less_trust_leaves_more_open(source: Source) -> None:
    assert prior_of(replace(source, trust=0.2)).share > prior_of(source).share


def test_random_scores_are_refused(source: Source) -> None:
    for seed in range(5):
        noise = shuffled(source, np.random.default_rng(seed))
        assert source_prior(SPACE, [noise]) is None
    assert "bear out" in (refusal(SPACE, noise) or "")


def test_few_trials_are_refused(source: Source) -> None:
    assert "3 rated trials" in (refusal(SPACE, best_of(source, 3)) or "")


def test_weights_are_read_by_source(source: Source) -> None:
    lesson = learn(table_source(SPACE, TASK, drawn(40, seed=2)).trials, TASK.metric)
    assert learned_weights(SPACE, [source], lesson)["source"] > 0.5
    assert learned_weights(SPACE, [inverted(source)], lesson)["source"] <= 0
    unknown = learned_weights(SPACE, [source], learn([], TASK.metric))
    assert unknown == {"source": pytest.approx(1)}
    assert learned_weights(SPACE, [], lesson) == {}


def test_a_good_source_keeps_its_weight(source: Source) -> None:
    assert learned(prior_of(source)).mean() > 0.5


def test_an_inverted_source_loses_its_weight(source: Source) -> None:
    assert learned(prior_of(inverted(source))).mean() <= 0
    assert learned(prior_of(source), sign=-1.0).mean() <= 0


def test_of_two_sources_the_true_one_is_believed(source: Source) -> None:
    prior = prior_of(source, replace(inverted(source), run_id="liar"))
    weights = dict(zip([hint.name for hint in prior.hints], learned(prior), strict=True))
    assert weights["source scores"] > weights["liar scores"]


def test_a_source_said_twice_claims_no_more_than_once(source: Source) -> None:
    once, twice = prior_of(source), prior_of(source, replace(source))
    there = SPACE.featurise(drawn(50, seed=3))
    assert twice.share == pytest.approx(once.share)
    assert twice.mean(there) == pytest.approx(once.mean(there))


def test_the_same_source_says_the_same(source: Source) -> None:
    there = SPACE.featurise(drawn(50, seed=3))
    assert (prior_of(source).mean(there) == prior_of(replace(source)).mean(there)).all()


def test_of_a_large_source_every_trial_counts() -> None:
    architectures = list(dict.fromkeys(drawn(500)))
    prior = prior_of(table_source(SPACE, TASK, architectures))
    said = prior.hints[0].values(SPACE.featurise(architectures))
    assert np.corrcoef(said, normal_scores(truth(architectures)))[0, 1] > 0.95


def test_directions_do_not_count_on_names() -> None:
    def renamed(name: str) -> SlotSpace:
        choices = tuple(Choice(name=f"{name}{n}") for n in range(5))
        return SlotSpace("renamed", [Slot(name=f"slot_{n}", choices=choices) for n in range(10)])

    space = renamed("x")
    told = table_source(SPACE, TASK, drawn(100))
    trials = [
        replace(t, architecture=Architecture(t.architecture.text.replace('"op', '"x')))
        for t in told.trials
    ]
    (one, *_), (other, *_) = (
        source_hints(SPACE, told),
        source_hints(space, replace(told, space=space, trials=trials)),
    )
    there = drawn(20, seed=4)
    same = [Architecture(a.text.replace('"op', '"x')) for a in there]
    assert one.values(SPACE.featurise(there)) == pytest.approx(other.values(space.featurise(same)))


def test_spaces_that_share_no_word_are_refused_with_the_reason(source: Source) -> None:
    assert source_hints(Macro(), source) == ()
    assert refusal(Macro(), source) == match(SPACE, Macro()).reason


def test_between_spaces_counts_travel_as_quantiles() -> None:
    few, many = (
        SlotSpace(
            name,
            [
                Slot(name=f"width_{n}", choices=tuple(Choice(name=str(w), value=w) for w in widths))
                for n in range(3)
            ],
        )
        for name, widths in (("few", (1.0, 2.0, 3.0)), ("many", (10.0, 20.0, 40.0)))
    )
    rows = np.array([[1.0, 2.0, 3.0]])
    assert match(many, few).in_source(rows).tolist() == [[10.0, 20.0, 40.0]]


def test_between_spaces_a_cell_that_both_write_alike_keeps_its_score() -> None:
    nb201, transnas = Cell(), TransNas()
    members = nb201.members()
    convolutions = np.array([each.text.count("conv_3x3") for each in members], dtype=np.float64)
    odd = members.index(nb201.parse({slot.name: "nor_conv_1x1" for slot in nb201.slots}))

    def said(value: float) -> float:
        values = convolutions.copy()
        values[odd] = value
        trials = [
            replace(known, number=place + 1, architecture=each, value=float(values[place]))
            for place, each in enumerate(members)
        ]
        source = Source(
            run_id="source", task_name="", space=nb201, metric=TASK.metric, trials=trials, trust=1
        )
        there = transnas.parse({slot.name: "nor_conv_1x1" for slot in transnas.slots})
        return float(source_hints(transnas, source)[0].values(transnas.featurise([there]))[0])

    known = table_source(SPACE, TASK, drawn(1)).trials[0]
    assert said(9.0) > said(0.0) + 0.5


@pytest.mark.parametrize("share", [0.2, 1.0])
def test_rescaled_scores_keep_their_order(share: float) -> None:
    features = SPACE.featurise(drawn(30))

    def first(there: FloatArray) -> FloatArray:
        return there[:, 0]

    hints = (Hint(name="first", values=first, trust=0.5),)
    prior = Prior(hints=hints, weights=np.ones(1), share=share)
    scores = normal_scores(np.random.default_rng(0).standard_normal(30))
    assert (np.argsort(prior.rescaled(features, scores)) == np.argsort(scores)).all()


def test_hints_that_turn_out_to_be_of_no_use_leave_scores_as_they_are() -> None:
    features = SPACE.featurise(drawn(30))

    def first(there: FloatArray) -> FloatArray:
        return there[:, 0]

    prior = combine(SPACE, [Hint(name="first", values=first, trust=0.8)])
    assert prior is not None
    scores = normal_scores(np.random.default_rng(0).standard_normal(30))
    assert prior.rescaled(features, scores, np.zeros(1)) == pytest.approx(scores, abs=0.01)
    same = prior.rescaled(features, scores, prior.weights)
    assert same == pytest.approx(prior.rescaled(features, scores), abs=0.05)


def test_a_lie_that_is_found_out_leaves_no_strain_in_the_model(source: Source) -> None:
    prior = prior_of(inverted(source))
    lesson = learn(table_source(SPACE, TASK, drawn(12, seed=2)).trials, TASK.metric)
    features = SPACE.featurise([trial.architecture for trial in lesson.trials])
    once = Surrogate.fit(SPACE, features, prior.rescaled(features, lesson.scores), prior)
    assert fit_hinted(SPACE, lesson, prior).variance < once.variance


def test_without_claims_nothing_is_expected() -> None:
    def first(there: FloatArray) -> FloatArray:
        return there[:, 0]

    assert combine(SPACE, []) is None
    silent = combine(SPACE, [Hint(name="none", values=first, trust=0.0)])
    assert silent is not None
    assert not silent.is_guide
    scores = normal_scores(np.arange(30.0))
    features = SPACE.featurise(drawn(30))
    assert silent.rescaled(features, scores) == pytest.approx(scores, abs=0.01)


def test_the_best_of_a_search_say_nothing_where_its_model_does_not_hold(source: Source) -> None:
    """A direction of the best is believed of rows that were given, not of rows that it chose."""
    silent = shuffled(source, np.random.default_rng(0))
    chosen = [replace(trial, origin=Origin.ARCHITECT) for trial in source.trials[:30]]
    told = [replace(trial, value=t.value) for trial, t in zip(chosen, silent.trials, strict=False)]
    assert source_hints(SPACE, replace(source, trials=chosen))
    assert source_hints(SPACE, replace(source, trials=told)) == ()
    reason = refusal(SPACE, replace(source, trials=told))
    assert reason == "its own trials bear out neither its model nor its choice"


@pytest.fixture(scope="module")
def census() -> Source:
    """All of a space that lists its members, scored by width and depth, and noise."""
    space = Macro()
    members = space.members()
    assert members is not None
    noise = np.random.default_rng(0).normal(size=len(members))
    scores = [
        int(m.spec["width"]) / 8 + int(m.spec["depth"]) / 2 + 0.5 * extra
        for m, extra in zip(members, noise.tolist(), strict=True)
    ]
    trials = [
        closed_trial(number, member, score, origin=Origin.GIVEN)
        for number, (member, score) in enumerate(zip(members, scores, strict=True), start=1)
    ]
    return Source(
        run_id="census", task_name="made", space=space, metric=TASK.metric, trials=trials, trust=0.6
    )


def test_a_list_of_all_members_is_heard_and_shuffled_it_is_not(census: Source) -> None:
    assert source_hints(census.space, census)
    for seed in range(3):
        assert not source_hints(census.space, shuffled(census, np.random.default_rng(seed)))


def test_what_a_census_says_of_the_best_has_a_weight_of_its_own(
    census: Source, source: Source
) -> None:
    hints = source_hints(census.space, top_reversed(census))
    assert [hint.trust > 0 for hint in hints] == [True, True, False]
    said = hints[-1].values(reference_features(census.space))
    assert np.mean(said > said.min()) == pytest.approx(0.1, abs=0.02)
    assert len(source_hints(SPACE, source)) == 2  # 200 draws do not know the best


def test_sources_that_make_the_trials_no_likelier_are_not_heard(source: Source) -> None:
    there = drawn(24, seed=4)
    scores = np.random.default_rng(4).permutation(truth(there))
    trials = [closed_trial(n, a, v) for n, (a, v) in enumerate(zip(there, scores, strict=True), 1)]
    lesson = learn(trials, TASK.metric)
    model = fit_hinted(SPACE, lesson, prior_of(source))
    assert not model.weights().any()
    assert learned_weights(SPACE, [source], lesson) == {source.run_id: 0.0}
