"""Questions about a run: every answer comes from the ledger and names its trials."""

import re
from collections.abc import Iterator

import pytest

import vitruvius as vt
from vitruvius.errors import ToolError
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import NewTrial, Origin, ResultStatus
from vitruvius.tools.questions.book import Answer, Book
from vitruvius.tools.questions.registry import QUESTIONS, answer, read_question


@pytest.fixture
def book(small_run: vt.SearchRun) -> Iterator[Book]:
    with Ledger.open(small_run.home) as ledger:
        yield Book(ledger=ledger, run_id=small_run.id, space=small_run.space, task=small_run.task)


def asked(book: Book, tool: str, **given: object) -> Answer:
    return answer(book, read_question({"tool": tool, **given}))


GIVEN = {
    "trial": {"trial": "T6"},
    "why": {"name": "T6"},
    "compare": {"first": "T3", "second": "T6"},
    "report": {"section": "learned"},
}


@pytest.mark.parametrize("tool", QUESTIONS)
def test_every_answer_names_trials_and_no_test_figure(book: Book, tool: str) -> None:
    words = asked(book, tool, **GIVEN.get(tool, {})).words
    if tool != "proxies":  # none were computed here
        assert re.search(r"\bT\d", words), words
    assert "77.77" not in words


def test_the_best_has_its_value_trials_curve_and_drawing(book: Book) -> None:
    found = asked(book, "best")
    assert "T6" in found.text
    assert "T9" in found.text
    assert found.curve[-1] == 3.8
    assert list(found.curve) == sorted(found.curve, reverse=True)  # an error: less is better
    assert "width" in found.picture


def test_trials_are_sorted_and_filtered(book: Book) -> None:
    assert [row[0] for row in asked(book, "trials", limit=3).rows] == ["T6", "T9", "T5"]
    assert [row[0] for row in asked(book, "trials", sort="worst", limit=2).rows] == ["T1", "T3"]
    assert [row[0] for row in asked(book, "trials", status="diverged").rows] == ["T4"]
    assert [row[0] for row in asked(book, "trials", holding=["relu"]).rows] == ["T8", "T1"]
    assert "No trial" in asked(book, "trials", origin="confirm").text


def test_a_trial_has_the_memory_that_it_took(book: Book) -> None:
    (trial,) = book.ledger.trials.open(
        book.run_id, None, [NewTrial(architecture=book.trial("T6").architecture, fidelity="whole",
                                     seed=99, origin=Origin.ARCHITECT)]
    )  # fmt: skip
    book.ledger.results.close(trial.result_id, status=ResultStatus.DONE, value=5.0, peak_mib=1536.4)
    later = Book(ledger=book.ledger, run_id=book.run_id, space=book.space, task=book.task)
    assert "1,536 MiB of memory at its peak" in asked(later, "trial", trial=trial.name).text


def test_a_trial_is_explained_by_its_neighbours_and_the_principles_it_keeps(book: Book) -> None:
    said = asked(book, "why", name="best").text
    assert "T5 differs in norm alone (yes for no): 4 %" in said
    assert "T7 differs in width alone (12 for 16): 8 %" in said
    assert "It keeps P1.1: width >= 12" in said
    assert "T1" not in said.split("for it")[0]
    assert "diverged" in asked(book, "why", name="T4").text


def test_a_principle_is_explained_by_its_history_and_the_trials_for_and_against(book: Book) -> None:
    said = asked(book, "why", name="P1").text
    assert "For it: T5-T6, T8. Against it: T1, T3." in said
    assert "P1.1: add by analyst at step 0: seen" in said
    assert "cut 1" in said


def test_a_cut_is_explained_by_number_and_by_what_it_cut(book: Book) -> None:
    by_number = asked(book, "why", name="C1").text
    assert "keeps only width >= 12, by P1.1" in by_number
    assert "the best is 12 (T3)" in by_number
    assert asked(book, "why", name="width").text == by_number
    assert "it was not pruned" in asked(book, "why", name="tanh").text
    assert "P2.1 speaks of it" in asked(book, "why", name="tanh").text


def test_two_trials_are_compared_beside_the_noise(book: Book) -> None:
    found = asked(book, "compare", first="T6", second="T7")
    assert "T6 leads by 4.2, more than seeds differ" in found.text
    assert ("width", "16", "12") in found.rows
    same = asked(book, "compare", first="T6", second="T9")
    assert "the same architecture on seeds 0 and 8" in same.text


def test_what_is_untried_is_ranked_by_what_the_principles_say(book: Book) -> None:
    found = asked(book, "next")
    tried = {trial.architecture.text for trial in book.trials}
    assert found.rows[0][1] == "P1.1"
    assert not tried & {row[2] for row in found.rows}


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ({"tool": "trial", "trial": "T99"}, "has no trial T99; it has T1-T9"),
        ({"tool": "why", "name": "P9"}, "has no principle P9; it has P1, P2"),
        ({"tool": "why", "name": "C7"}, "has no cut 7; it has 1"),
        ({"tool": "why", "name": "banana"}, "nothing here is called 'banana'"),
        ({"tool": "report", "section": "weather"}, "the report has no section 'weather'"),
        ({"tool": "trials", "limit": 1000}, "limit"),
        ({"tool": "trials", "colour": "red"}, "colour"),
    ],
)
def test_a_wrong_question_is_told_what_there_is(
    book: Book, call: dict[str, object], said: str
) -> None:
    with pytest.raises(ToolError, match=re.escape(said)):
        answer(book, read_question(call))
