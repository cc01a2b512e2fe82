"""In a real kernel: a run survives its cell, tells how it goes, and stops as asked."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from notebooks.kernels import Front, Told, kernel

from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import RunStatus

TASKS = Path(__file__).parent / "slow.py"
START = f"""
import vitruvius as vt
QUICK = dict(task="{TASKS}:quick", space="{TASKS}:space")
SLOW = dict(task="{TASKS}:slow", space="{TASKS}:space")
"""


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    folder = tmp_path_factory.mktemp("kernel")
    home = {"VITRUVIUS_HOME": str(folder / "home")}
    with kernel(folder, **home) as started:
        assert started.run(START).error is None
        yield started


class Interrupt:
    """Interrupts the kernel once, when a first trial is done."""

    def __init__(self, front: Front) -> None:
        self.front, self.sent = front, False

    def __call__(self, told: Told) -> None:
        if not self.sent and any("T1 " in data["text/plain"] for data in told.updates):
            self.sent = True
            self.front.manager.interrupt_kernel()


def test_a_background_run_survives_its_cell_and_draws_its_progress_again(front: Front) -> None:
    began = front.run("run = vt.search(**QUICK, budget='14 trials', background=True)")
    assert began.error is None
    assert "starting" in began.shown[0]["text/html"]
    later = front.run("print(run.is_running); print(run.wait())")
    assert later.text.split() == ["True", "done"]
    drawn = [data["text/html"] for data in began.updates + later.updates]
    assert len(drawn) >= 2
    assert "14 of 14 trials" in drawn[-1]
    assert f"run {front.run('print(run.id)').text.strip()} is done" in drawn[-1]
    assert front.run("print(run.is_running, len(run.trials))").text == "False 14\n"


def test_an_interrupt_of_the_kernel_stops_a_run_in_the_foreground_and_spares_variables(
    front: Front,
) -> None:
    interrupt = Interrupt(front)
    told = front.run(
        "kept = 41\nrun = vt.search(**SLOW, budget='90 trials')\nprint(run.record.status)",
        during=interrupt,
    )
    assert interrupt.sent
    assert told.error is None
    assert told.text.endswith("interrupted\n")
    assert "interrupted" in told.updates[-1]["text/plain"].splitlines()[0]
    assert front.run("print(kept + 1, run.is_running, len(run.trials) < 90)").text == (
        "42 False True\n"
    )


def test_waiting_can_be_interrupted_while_the_run_goes_on_until_it_is_stopped(
    front: Front, tmp_path: Path
) -> None:
    front.run(f"run = vt.search(**SLOW, budget='40 trials', background=True, home='{tmp_path}')")
    interrupt = Interrupt(front)
    assert front.run("run.wait()", during=interrupt).error == "KeyboardInterrupt"
    assert front.run("print(run.is_running)").text == "True\n"
    assert front.run("run.stop(); print(run.wait(), run.is_running)").text == "interrupted False\n"
    with Ledger.open(tmp_path) as ledger:
        (run,) = ledger.runs.all()
    assert run.status == RunStatus.INTERRUPTED


def test_what_goes_wrong_in_the_background_is_shown_and_raised_by_wait(front: Front) -> None:
    front.run("run = vt.open(run.id, home=run.home)")
    broken = "run.start_here(task=object())"
    told = front.run(
        f"{broken}\ntry:\n    run.wait()\nexcept Exception as error:\n    print(error)"
    )
    assert told.error is None
    assert told.text.strip()
    assert told.text.strip().splitlines()[-1] in told.updates[-1]["text/plain"]


def test_with_a_running_loop_a_search_can_be_awaited(front: Front) -> None:
    told = front.run("found = await vt.asearch(**QUICK, budget='6 trials')\nfound")
    assert told.error is None
    assert "6 of 6 trials" in told.updates[-1]["text/html"]
    assert "text/html" in told.shown[-1]


def test_a_mistake_is_one_sentence_without_a_traceback(front: Front) -> None:
    said = front.run("vt.search('no_such_task')")
    assert said.error == "ConfigError"
    assert len(said.traceback) == 1
    assert said.traceback[0].startswith("ConfigError: ")
    assert "no_such_task" in said.traceback[0]
