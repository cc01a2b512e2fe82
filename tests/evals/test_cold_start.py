"""The cold-start program: what it writes, and how it counts."""

import json
from pathlib import Path

import pytest

from vitruvius.evals.cold_start import Job, Outcome, main, search, summary


def outcome(seed: int, hit: int | None) -> Outcome:
    return Outcome(
        arm="analyst",
        metric="c10",
        seed=seed,
        hit=hit,
        tests={20: 94.0},
        regrets={20: 0.5},
        cpu_s=0.1,
    )


def test_a_search_without_a_hit_counts_as_one_more_than_its_queries() -> None:
    table = summary([outcome(0, 5), outcome(1, None), outcome(2, None)], 20)
    row = table.splitlines()[-1]
    assert row == "| c10 | analyst | 21 | 21 | 33% | 94.00 | nan | nan | 0.500 | 0.10 |"


def test_outcome_is_a_pure_function_of_the_job(shared_data: Path) -> None:
    table = str(shared_data / "nas_bench_201.parquet")
    for arm in ("analyst", "local"):
        job = Job(table=table, arm=arm, metric="in16", seed=7, queries=20)
        one, two = search(job), search(job)
        assert (one.hit, one.tests, one.regrets) == (two.hit, two.tests, two.regrets)
        assert list(one.tests) == [20]
        assert one.regrets[20] >= 0


def test_the_program_writes_results_and_a_table(
    shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(
        [
            "--table",
            str(shared_data / "nas_bench_201.parquet"),
            *("--seeds", "2", "--queries", "8", "--metrics", "c10", "--processes", "1"),
            *("--arms", "analyst", "random", "--out", str(tmp_path / "out")),
        ]
    )
    table = (tmp_path / "out/table.md").read_text()
    assert capsys.readouterr().out == table
    assert len(table.splitlines()) == 4
    results = json.loads((tmp_path / "out/results.json").read_text())
    assert {(row["arm"], row["seed"]) for row in results} == {
        ("analyst", 0),
        ("analyst", 1),
        ("random", 0),
        ("random", 1),
    }
