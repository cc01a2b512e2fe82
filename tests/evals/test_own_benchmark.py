"""The benchmark of our own at tiny size: rows, resuming, a table that a search reads, claims."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vitruvius.evals.statistics import Interval
from vitruvius.evals.studies import own_benchmark as own
from vitruvius.evals.studies.own_claims import report, verdict
from vitruvius.spaces.space import Builder
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.tables.table import TabularTask
from vitruvius.tools.proxies import computable


@pytest.fixture
def arms(tmp_path: Path) -> list[own.Arm]:
    letters = np.random.default_rng(0).choice(list("abcdef  "), size=2000)
    (tmp_path / "text").write_text("".join(letters))
    task = f"text:{tmp_path / 'text'},unit=char,context=8,vocabulary=10,tokens=1500,epochs=1"
    small = "recurrent:layers=1,hidden=6,embedding=4"
    return [
        own.Arm(name="recurrent_trained", space_ref=small, task_ref=task),
        own.Arm(
            name="recurrent_frozen", space_ref=f"{small},recurrent_weights=frozen", task_ref=task
        ),
    ]


def test_both_arms_train_the_same_cells_and_a_run_that_was_cut_off_goes_on(
    arms: list[own.Arm], tmp_path: Path
) -> None:
    folder = tmp_path / "tables"
    own.fill_in(folder, arms, architectures=2, repeats=1)
    trained, frozen = (folder / f"{arm.name}.csv" for arm in arms)
    rows = own.read_rows(trained)
    assert [(row["seed"], row["status"]) for row in rows] == [
        ("0", "done"),
        ("0", "done"),
        ("1", "done"),
    ]
    assert [row["arch"] for row in rows] == [row["arch"] for row in own.read_rows(frozen)]
    assert set(computable(arms[0].space, arms[0].task)) < set(rows[0])
    assert rows[0]["hidden_covariance_1"]
    assert rows[0]["hidden_covariance_2"] == ""  # there is one layer
    first = trained.read_text()
    trained.write_text(first[: first.rfind("\n", 0, -1) + 20])
    own.fill_in(folder, arms, architectures=2, repeats=1)
    again = own.read_rows(trained)
    timed = {"train_s"}
    assert [{k: v for k, v in row.items() if k not in timed} for row in again] == [
        {k: v for k, v in row.items() if k not in timed} for row in rows
    ]
    assert report({arm.name: own.read_rows(folder / f"{arm.name}.csv") for arm in arms}, draws=5)


def test_a_search_reads_the_table(arms: list[own.Arm], tmp_path: Path) -> None:
    own.fill_in(tmp_path, arms[:1], architectures=2, repeats=0)
    path = tmp_path / "recurrent_trained.csv"
    space = arms[0].space_ref.replace(",", "|")
    task = load_task(f"table:{path},metric=cross_entropy,direction=min,unit=nats,space={space}")
    assert isinstance(task, TabularTask)
    row = own.read_rows(path)[0]
    member = arms[0].space.parse(row["arch"])
    assert task.lookup(member, task.fidelity, seed=0).value == float(row["cross_entropy"])
    assert (task.costs(member) or {})["params"] == float(row["params"])


def test_a_training_that_takes_too_long_is_a_row_without_a_loss(arms: list[own.Arm]) -> None:
    member = own.drawn(arms[0].space, 1)[0]
    row = own.measured(arms[0], member, 0, limit_s=0.0)
    assert (row["cross_entropy"], row["status"]) == ("nan", "timeout")
    assert row["params"]


def test_the_usual_arms_can_be_trained() -> None:
    for name in own.USUAL:
        arm = own.ARMS[name]
        assert isinstance(arm.space, Builder)
        arm.space.build(own.drawn(arm.space, 1)[0], arm.task.signature)


@pytest.mark.parametrize(
    ("direct", "partial", "words"),
    [
        ((-0.5, -0.3), (-0.4, -0.1), "survives, beyond size"),
        ((-0.5, -0.3), (-0.4, 0.1), "survives"),
        ((-0.5, 0.3), (-0.4, -0.1), "open"),
        ((0.1, 0.3), (0.1, 0.2), "reversed"),
    ],
)
def test_a_claim_survives_where_the_whole_interval_bears_it_out(
    direct: tuple[float, float], partial: tuple[float, float], words: str
) -> None:
    first, second = (
        Interval(value=sum(ends) / 2, low=ends[0], high=ends[1]) for ends in (direct, partial)
    )
    assert verdict(first, second) == words


def test_claims_are_told_for_each_arm_and_for_the_pair() -> None:
    rng = np.random.default_rng(0)
    loss = rng.normal(size=40)
    frozen = loss + 1.0
    noise, params = rng.normal(size=40), rng.normal(size=40)

    def rows(losses: np.ndarray) -> list[dict[str, str]]:
        return [
            {
                "arch": f'{{"hidden":{i % 2},"op":"dsc{i}"}}',
                "cross_entropy": repr(float(value)), "cross_entropy_test": "0.0",
                "seed": "0", "epochs": "1", "train_s": "2.0", "status": "done",
                "params": repr(float(params[i])), "hidden_covariance_1": repr(float(-loss[i])),
                "good": repr(float(-loss[i])),
                "noise": "nan" if i == 3 else repr(float(noise[i])), "absent": "",
            }
            for i, value in enumerate(losses)
        ]  # fmt: skip

    lost = {**rows(loss)[0], "arch": "lost", "cross_entropy": "nan", "status": "diverged"}
    trained = [*rows(loss), {**rows(loss)[0], "seed": "1"}, {**lost, "good": "-99.0"}]
    text = report({"recurrent_trained": trained, "recurrent_frozen": rows(frozen)}, draws=50)
    lines = text.splitlines()
    assert "| good | 40 | 0 | -1.000 [-1.000, -1.000]" in text
    assert any(line.startswith("| noise | 40 | 1 |") and "open" in line for line in lines)
    assert not any(line.startswith("| absent") for line in lines)
    assert "deviation between seeds 0.0000 nats (1 trained twice)" in text
    assert "| hidden_covariance_1 | params | 40 | -" in text
    assert "| hidden size | " in text
    assert "number of dsc" not in text  # one in each: no tau
    assert "| score | tau, with 1 diverged last |" in lines
    assert "| good | -1.000 [-1.000, -1.000] |" in lines
    assert "Freezing costs 1.000 nats (median)" in text
    assert "| good | -1.000 | -1.000 | +0.000 [+0.000, +0.000] |" in text
