"""How far a run believes others before it has measured anything."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from vitruvius.memory.evidence import effects
from vitruvius.memory.ledger import exchange
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import Evidence, Run, RunKind, Standing
from vitruvius.memory.transfer.trust import (
    IMPORTED,
    OTHER_TASK,
    source_trust,
    task_similarity,
    transfer_record,
    voice,
    word_of,
)


@pytest.fixture
def runs(new_run: Callable[..., Run]) -> dict[str, Run]:
    """A run on this task, one on another, and one of another home on this task."""
    ledger = Ledger.in_memory()
    same, other, foreign = (new_run(ledger) for _ in range(3))
    other = replace(other, task_name="digits")
    foreign = replace(foreign, kind=RunKind.IMPORT)
    return {run.id: run for run in (same, other, foreign)}


def seen(run_id: str, standing: Standing = Standing.SUPPORTED, n: int = 100) -> Evidence:
    effect = -0.5 if standing == Standing.CONTRADICTED else 0.5
    return Evidence(
        run_id=run_id, principle=1, version=1, up_to=n, look=1, n_in=n // 2, n_out=n - n // 2,
        effect=effect, low=effect - 0.2, high=effect + 0.2, p_value=0.01, doubly_robust=None,
        points=None, top_loss=0.0, top_loss_high=0.01, kept=0.5, standing=standing,
    )  # fmt: skip


def test_another_task_and_another_home_count_less(runs: dict[str, Run]) -> None:
    same, other, foreign = runs.values()
    assert task_similarity(same, "mnist1d") == 1
    assert task_similarity(other, "mnist1d") == OTHER_TASK
    assert task_similarity(foreign, "mnist1d") == IMPORTED


def test_the_word_of_another_home_never_cuts_unmeasured(runs: dict[str, Run]) -> None:
    from vitruvius.settings import Settings

    _, _, foreign = runs
    word = word_of([seen(foreign, n=10**6)], runs, "mnist1d")
    assert 0 < word.trust < Settings.model_fields["trust_to_cut"].default
    assert word.is_imported


def test_one_run_alone_is_believed_as_its_evidence_says(runs: dict[str, Run]) -> None:
    same, other, _ = runs
    for name, alike in ((same, 1.0), (other, OTHER_TASK)):
        word = word_of([seen(name)], runs, "mnist1d")
        assert word.trust == pytest.approx(alike * source_trust(seen(name)))
        assert word.effect == pytest.approx(0.5)


def test_a_later_run_that_contradicts_takes_trust_away(runs: dict[str, Run]) -> None:
    same, other, _ = runs
    alone = word_of([seen(other)], runs, "mnist1d")
    both = word_of([seen(other), seen(same, Standing.CONTRADICTED)], runs, "mnist1d")
    assert both.trust < 0.3 * alone.trust


def test_only_the_last_look_counts_and_only_of_those_who_may_speak(runs: dict[str, Run]) -> None:
    same, other, _ = runs
    first, last = seen(same, n=20), seen(same, Standing.CONTRADICTED, n=60)
    assert word_of([first, last], runs, "mnist1d").trust == 0
    assert word_of([last, first], runs, "mnist1d").trust == 0
    assert word_of([seen(same)], {other: runs[other]}, "mnist1d").evidence is None


def test_a_run_that_cannot_tell_says_nothing(runs: dict[str, Run]) -> None:
    same, other, _ = runs
    quiet = word_of([seen(other), seen(same, Standing.CANDIDATE)], runs, "mnist1d")
    assert quiet == word_of([seen(other)], runs, "mnist1d")


def test_a_voice_grows_with_trials_and_never_drowns_others() -> None:
    assert voice(0) == 0
    assert voice(20) == 0.5
    assert voice(20) < voice(300) < 1


def test_the_record_of_transfers_starts_at_one_and_falls() -> None:
    assert transfer_record([]) == 1
    bad = transfer_record([Standing.CONTRADICTED] * 4)
    mixed = transfer_record([Standing.CONTRADICTED, Standing.SUPPORTED, Standing.CANDIDATE])
    assert bad < mixed < 1
    assert transfer_record([], [0.0, 0.0]) == 0.5
    assert transfer_record([], [-3.0]) == transfer_record([], [0.0])


def test_imported_effects_are_bounded_as_measured_ones_are() -> None:
    assert exchange.WIDEST == effects.WIDEST
