"""No arm sees a target score that it did not pay for, and sources are not the target."""

import csv
from pathlib import Path

import pytest
from small_table import SLOTS, told, write_tables

from vitruvius.evals.arms.registry import ARMS as ALL
from vitruvius.evals.cases import Case, build
from vitruvius.evals.jobs import Job, run_job, search
from vitruvius.spaces.space import Architecture
from vitruvius.tasks.tables.table import TabularTask

SAME_CODE = {  # as another arm that is tested
    "optuna-gp", "cold, no costs", "wrong start", "whole", "no principles", "frozen principles",
    "no exploration", "no cuts", "no costs",
    "short first", "random short first",  # need short trainings, which this table has not
}  # fmt: skip
ARMS = [n for n, arm in ALL.items() if n not in SAME_CODE and not arm.needs_model]


def scramble(folder: Path, spared: set[Architecture]) -> None:
    """Gives every row of the target that is not spared a wild score."""
    path = folder / "near.csv"
    with path.open() as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows):
        if Architecture.of({slot: row[slot] for slot in SLOTS}) not in spared:
            row["accuracy"] = str(100.0 * ((number * 7919) % 13 - 6))
            row["accuracy_test"] = str(number)
    with path.open("w") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.parametrize("arm", ARMS)
def test_scores_that_are_not_paid_change_nothing(arm: str, tmp_path: Path) -> None:
    """What an arm asks is the same where all the rows that it does not ask have other scores."""
    real, other = tmp_path / "real", tmp_path / "other"
    for folder in (real, other):
        folder.mkdir()
        write_tables(folder)
    job = Job(case=told(), arm=arm, seed=3, data=real)
    asked = list(search(job, build(job.case, real, 3)).asked)
    assert len(asked) == job.case.queries
    scramble(other, set(asked))
    twin = Job(case=told(), arm=arm, seed=3, data=other)
    assert list(search(twin, build(twin.case, other, 3)).asked) == asked


@pytest.mark.parametrize("arm", ["transfer", "replay", "gp-transfer", "flops"])
def test_only_what_is_paid_is_looked_up(
    arm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tables(tmp_path)
    job = Job(case=told(), arm=arm, seed=0, data=tmp_path)
    built = build(job.case, tmp_path, 0)
    looked: list[Architecture] = []
    plain = TabularTask.lookup

    def counted(self: TabularTask, architecture: Architecture, *rest: object) -> object:
        if self is built.truth.task:
            looked.append(architecture)
        return plain(self, architecture, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(TabularTask, "lookup", counted)
    oracle = search(job, built)
    assert set(looked) <= set(oracle.asked)
    assert len(oracle.asked) == job.case.queries


def test_a_source_holds_scores_of_its_own_table_only(tmp_path: Path) -> None:
    write_tables(tmp_path)
    built = build(told(), tmp_path, 0)
    source = built.sources[0]
    assert source.task_name != built.truth.task.name
    own = {trial.architecture: trial.value for trial in source.trials}
    assert all(own[a] != pytest.approx(built.truth.values[a][0]) for a in own)


def test_an_arm_that_does_not_listen_is_run_without_sources(tmp_path: Path) -> None:
    write_tables(tmp_path)
    case = told()
    blind = case.blind()
    assert blind == Case(target=case.target, queries=case.queries)
    heard = run_job(Job(case=case, arm="random", seed=1, data=tmp_path))
    assert heard.trace == run_job(Job(case=blind, arm="random", seed=1, data=tmp_path)).trace
