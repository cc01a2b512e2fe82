"""Controls that hear sources do what their names say, and give the figures known of them."""

from pathlib import Path

import numpy as np
import pytest
from small_table import told, write_tables

from vitruvius.evals.arms.controls import Evolution, keep, ranked_choices
from vitruvius.evals.arms.lapt import NB201, TRANSNAS
from vitruvius.evals.cases import Case, SourceSpec, build
from vitruvius.evals.jobs import Job, run_job, search
from vitruvius.evals.oracle import Oracle, Spent
from vitruvius.evals.protocols import nb201
from vitruvius.spaces.cells.cell import Cell


def from_whole(source: str, target: str, kind: str = "whole", count: int = 0) -> Case:
    spec = SourceSpec(table=nb201(source), kind=kind, count=count)  # type: ignore[arg-type]
    return Case(target=nb201(target), queries=20, sources=(spec,), stop_at_hit=True)


@pytest.mark.parametrize(
    ("arm", "source", "target", "hit"),
    [
        ("replay", "in16", "c10", 2),
        ("replay", "in16", "c100", 2),
        ("replay", "c10", "c100", 1),
        ("majority", "in16", "c10", 1),
        ("majority", "in16", "c100", 1),
    ],
)
def test_strong_sources_give_the_known_queries(
    shared_data: Path, arm: str, source: str, target: str, hit: int
) -> None:
    job = Job(case=from_whole(source, target), arm=arm, seed=0, data=shared_data)
    assert run_job(job).hit == hit


def test_frequency_2_keeps_the_known_choices(shared_data: Path) -> None:
    """That of the top 50 of ImageNet16-120, on both CIFARs the home of the optimum."""
    case = from_whole("in16", "c10", "top", 50)
    built = build(case, shared_data, 0)
    good = [trial.architecture for trial in built.sources[0].trials]
    assert len(good) == 50
    allowed = keep(ranked_choices(Cell(), good), 2)
    assert {len(names) for names in allowed.values()} == {2}
    for cells in (built.truth.values,):
        best = max(cells, key=lambda a: cells[a][0])
        assert all(best.spec[slot] in names for slot, names in allowed.items())


def test_choices_are_ranked_by_how_many_hold_them(tmp_path: Path) -> None:
    write_tables(tmp_path)
    built = build(told("top", 30), tmp_path, 0)
    good = [trial.architecture for trial in built.sources[0].trials]
    ranked = ranked_choices(built.truth.space, good)
    for slot, names in ranked.items():
        counts = [sum(a.spec[slot] == name for a in good) for name in names]
        assert counts == sorted(counts, reverse=True)
        assert sum(counts) == 30


def test_evolution_stays_among_what_is_allowed_and_repeats_nothing(tmp_path: Path) -> None:
    write_tables(tmp_path)
    built = build(told("top", 30), tmp_path, 0)
    good = [trial.architecture for trial in built.sources[0].trials]
    allowed = keep(ranked_choices(built.truth.space, good), 2)
    oracle = Oracle(built.truth, 100)
    evolution = Evolution(
        built.truth.space, oracle, np.random.default_rng(0), population=5, tournament=2
    )
    while evolution.step(allowed):
        pass
    assert len(oracle.asked) == len(evolution.asked) <= 16
    assert all(a.spec[slot] in allowed[slot] for a in oracle.asked for slot in allowed)
    assert len(oracle.asked) >= 12


def test_replay_takes_sources_in_turns_best_first(tmp_path: Path) -> None:
    write_tables(tmp_path)
    case = told("random", 30, queries=6)
    case = Case(target=case.target, queries=6, sources=(*case.sources, *case.sources))
    built = build(case, tmp_path, 0)
    job = Job(case=case, arm="replay", seed=0, data=tmp_path)
    asked = list(search(job, built).asked)
    orders = [
        [t.architecture for t in sorted(s.trials, key=lambda t: -(t.value or 0))]
        for s in built.sources
    ]
    wanted = dict.fromkeys(a for pair in zip(*orders, strict=True) for a in pair)
    assert asked == list(wanted)[:6]


def test_a_true_source_helps_the_warm_process(tmp_path: Path) -> None:
    write_tables(tmp_path)
    hits = {
        arm: [
            run_job(Job(case=told("whole"), arm=arm, seed=seed, data=tmp_path)).capped_hit(12)
            for seed in range(10)
        ]
        for arm in ("gp-transfer", "gp-ei")
    }
    assert np.mean(hits["gp-transfer"]) < np.mean(hits["gp-ei"])


def test_scripts_have_the_published_numbers() -> None:
    assert (NB201.choices, NB201.population, NB201.tournament) == (2, 5, 2)
    assert (TRANSNAS.choices, TRANSNAS.population, TRANSNAS.tournament) == (3, 10, 5)
    assert NB201.adapt_at == (10, 15)
    assert TRANSNAS.adapt_at == (20, 30, 40)


def test_an_oracle_ends_an_arm_inside_its_own_loop(tmp_path: Path) -> None:
    write_tables(tmp_path)
    built = build(told(), tmp_path, 0)
    oracle = Oracle(built.truth, 3)
    evolution = Evolution(
        built.truth.space, oracle, np.random.default_rng(0), population=5, tournament=2
    )
    allowed = keep(ranked_choices(built.truth.space, []), 4)
    for _ in range(3):
        assert evolution.step(allowed)
    with pytest.raises(Spent):
        evolution.step(allowed)
    assert len(oracle.asked) == 3
