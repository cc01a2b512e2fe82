"""Audits of FlexiBERT see their draw alone, and are judged by the rest."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vitruvius.agents.analyst.audit_cuts import propose_cuts
from vitruvius.evals.studies.audit_flexibert import Judge, figures, perform


@pytest.fixture(scope="module")
def judge(shared_data: Path) -> Judge:
    return Judge.of(str(shared_data / "flexibert.json"))


def test_the_labels_of_other_rows_change_nothing(judge: Judge) -> None:
    seen = judge.draw(0)
    hidden = judge.values.copy()
    others = np.setdiff1d(np.arange(len(hidden)), seen)
    hidden[others] = np.random.default_rng(0).permutation(hidden[others]) - 100
    blind = replace(judge, values=hidden)
    space, metric = judge.task.table.space, judge.task.metric
    one, other = (propose_cuts(space, each.trials(seen), metric) for each in (judge, blind))
    assert one == other
    assert judge.judge(seen, [cut.rule for cut in one]) != blind.judge(
        seen, [cut.rule for cut in one]
    )


@pytest.mark.slow
def test_audits_cut_depth_and_hidden_size_and_keep_the_best(judge: Judge) -> None:
    found = perform(judge, range(3))
    audited, depth = figures(found["audit"]), figures(found["depth alone"])
    assert audited["removed of the 301"].value >= 0.55
    assert audited["kept of the best tenth"].value >= 0.95
    assert audited["names depth and hidden size"].value >= 0.6
    assert depth["removed of the 301"].value == pytest.approx(67 / 301)
    assert figures(found["parameters above the median"])[
        "removed of the 301"
    ].value == pytest.approx(0.52, abs=0.01)
    assert figures(found["nothing"])["kept of the best tenth"].value == 1.0
