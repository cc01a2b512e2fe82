"""What calls for a repair stands on the page, and the theorist is asked for it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from vitruvius.agents.chairs.prompt import render, template
from vitruvius.agents.chairs.repair_triggers import good_outside, needs_repair, progress_of
from vitruvius.agents.chairs.theorist import _ask
from vitruvius.agents.chairs.view import RunView
from vitruvius.memory.records import Calibration, Evidence, Origin, Standing
from vitruvius.memory.transfer.source_hints import Source
from vitruvius.spaces.region import Cut
from vitruvius.spaces.rules import Rule, SlotCondition, holds
from vitruvius.tasks.task import Metric

MakeView = Callable[..., RunView]
RULE = Rule(stance="avoid", all=(SlotCondition(slot="edge_0_3", choices=("none",)),))
GOLDEN = Path(__file__).parent / "golden/theorist_page.md"


def count(text: str) -> int:
    return -(-len(text) // 4)


def evidence(**more: Any) -> Evidence:
    given: dict[str, Any] = {
        "run_id": "R", "principle": 1, "version": 1, "up_to": 9, "look": 1, "n_in": 7, "n_out": 5,
        "effect": 0.61, "low": 0.2, "high": 1.02, "p_value": 0.01, "doubly_robust": None,
        "points": 2.5, "top_loss": 0.01, "top_loss_high": 0.03, "kept": 0.8,
        "standing": Standing.SUPPORTED, "contradicting": (4, 11),
    }  # fmt: skip
    return Evidence(**(given | more))


def test_a_search_that_gets_better_needs_no_repair(make_view: MakeView) -> None:
    view = make_view(12)  # each trial is better than the one before
    assert progress_of(view).since == 0
    assert needs_repair(view) == []
    assert "To mend" not in render(view, "Decide.", count=count, budget=4000).text
    assert "Repair" not in _ask(view)


def test_a_stall_is_told_and_a_repair_asked_for(
    make_view: MakeView, make_trial: Any, cells: Any
) -> None:
    trials = [make_trial(i + 1, cells[i], 90.0 - i) for i in range(9)]
    view = make_view(0, trials=trials)
    assert needs_repair(view) == ["none of the 8 results since T1 is better"]
    assert "To mend: none of the 8 results" in render(view, "", count=count, budget=4000).text
    assert "Repair before you add" in _ask(view)
    assert needs_repair(make_view(0, trials=trials[:8])) == []


def test_less_is_better_where_the_metric_says_so(
    make_view: MakeView, make_trial: Any, cells: Any
) -> None:
    trials = [make_trial(i + 1, cells[i], 90.0 - i) for i in range(9)]
    view = make_view(0, trials=trials)
    task = replace(view.task, metric=Metric(name="loss", direction="min", unit=""))  # type: ignore[type-var]
    best = progress_of(replace(view, task=task)).best
    assert best is not None
    assert best.number == 9


def test_a_principle_that_trials_speak_against_is_named(
    make_view: MakeView, make_principle: Any
) -> None:
    contradicted = replace(
        make_principle(3, RULE),
        standing=Standing.CONTRADICTED,
        evidence=evidence(principle=3, effect=-0.7, standing=Standing.CONTRADICTED),
    )
    held = replace(make_principle(1, RULE), standing=Standing.SUPPORTED, evidence=evidence())
    view = make_view(12, principles=(held, contradicted))
    assert needs_repair(view) == ["the trials speak against P3.1"]


def test_good_trials_outside_the_cuts_make_them_doubtful(
    make_view: MakeView, make_trial: Any, cells: Any, cell: Any
) -> None:
    inside = holds(RULE, cell, cell.featurise(cells))
    order = sorted(range(len(cells)), key=lambda i: bool(inside[i]))  # those outside come first
    assert not inside[order[0]]
    trials = [make_trial(n + 1, cells[i], 90.0 - n) for n, i in enumerate(order[:20])]
    cut = Cut(number=1, rule=RULE, principle="P1.1", reason="seen")
    view = make_view(0, trials=trials, cuts=(cut,))
    assert good_outside(view)[0].number == 1
    assert any("a cut may be wrong" in reason for reason in needs_repair(view))
    assert good_outside(make_view(0, trials=trials)) == []


def troubled(make_view: MakeView, make_trial: Any, make_principle: Any, cells: Any) -> RunView:
    """A run with all that a theorist may have to see."""
    trials = [
        make_trial(
            i + 1, cells[i], 90.0 - 0.5 * i, origin=Origin.EXPLORE if i < 4 else Origin.ARCHITECT
        )
        for i in range(11)
    ]
    trials.append(make_trial(12, cells[11], None, message="loss is NaN"))
    other = Rule(stance="require", all=(SlotCondition(slot="edge_1_2", choices=("skip_connect",)),))
    recalled = replace(
        make_principle(1, RULE, run_id="251231-aaaa", task_name="other"),
        trust=0.4, source_effect=0.9, standing=Standing.WEAKENED,
        evidence=evidence(effect=0.05, low=-0.4, high=0.5, standing=Standing.WEAKENED),
    )  # fmt: skip
    own = replace(
        make_principle(2, other, statement="Keep a short way."),
        standing=Standing.CONTRADICTED,
        evidence=evidence(principle=2, effect=-0.6, low=-1.0, high=-0.2, contradicting=(1, 2)),
    )
    source = Source(
        run_id="251231-aaaa",
        task_name="other",
        space=make_view(0).space,
        metric=Metric(name="accuracy", unit="%"),
        trials=[make_trial(i + 1, cells[i], 70.0 - i + 3 * (i % 2)) for i in range(20)],
        trust=0.4,
    )
    return make_view(
        0,
        trials=trials,
        principles=(recalled, own),
        cuts=(Cut(number=1, rule=RULE, principle="P1.1", reason="elsewhere", provisional=True),),
        sources=(source,),
        calibrations=[Calibration(proxy="params", n=11, spearman=0.5, low=0.1, high=0.8)],
    )


def test_the_theorist_sees_all_that_a_repair_needs(
    make_view: MakeView, make_trial: Any, make_principle: Any, cells: Any
) -> None:
    view = troubled(make_view, make_trial, make_principle, cells)
    page = render(view, _ask(view), count=count, budget=6000)
    head, _, rest = page.text.partition("# Search space")
    shown = f"{head}{rest[rest.index('# Budget') :]}\n"  # what a space says of itself is its own
    assert shown == GOLDEN.read_text(encoding="utf-8")
    for told in (
        "T4 88.5",  # a contradicting trial, in full, with its score
        "standard deviation near the top",  # the noise floor
        'P1.1 weakened from run 251231-aaaa on "other", trust 0.40, effect there +0.90',
        "effect +0.05 [-0.40, +0.50]",  # what this run measured of it
        "rank correlation with this run +0.9",
        "none of the 11 results since T1 is better",
        "the trials speak against P2.1, P1.1",
    ):
        assert told in page.text, told


def test_the_page_keeps_to_its_budget_in_trouble(
    make_view: MakeView, make_trial: Any, make_principle: Any, cells: Any
) -> None:
    view = troubled(make_view, make_trial, make_principle, cells)
    whole = render(view, _ask(view), count=count, budget=6000)
    small = render(view, _ask(view), count=count, budget=whole.tokens - 300)
    assert small.tokens <= whole.tokens - 300
    assert "against P2.1" in small.text
    assert set(small.left_out) == {
        "trials", "principles", "contradictions", "sources", "proxies", "decisions",
    }  # fmt: skip


def test_the_system_prompt_speaks_of_what_the_page_shows() -> None:
    text = template("theorist").template
    assert "contradicting trials" in text
    assert "other runs" in text
