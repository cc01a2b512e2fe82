"""The bench measures both searches and says what they cost."""

import json
from pathlib import Path

import pytest

from vitruvius.evals.bench_search import main


def test_the_bench_prints_both_medians_and_their_ratio(
    shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = str(shared_data / "nas_bench_201.parquet")
    main(["--table", table, "--queries", "12", "--seeds", "2"])
    figures = json.loads(capsys.readouterr().out)
    assert figures["seeds"] == [0, 1]
    assert figures["search_cpu_s"] > 0
    assert figures["minimal_cpu_s"] > 0
    assert figures["ratio_cpu"] > 0
