"""Many threads and processes on one ledger: each result once, one trainer each."""

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from vitruvius.memory.edits import Add
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import NewTrial, ResultStatus, Run
from vitruvius.spaces.rules import Rule

SOURCE = str(Path(__file__).parents[2] / "src")
WORKER = """
import sys
from pathlib import Path
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import Budget, NewTrial, Origin, ResultStatus
from vitruvius.spaces.space import Architecture

home, name = Path(sys.argv[1]), sys.argv[2]
ledger = Ledger.open(home)
run = ledger.runs.create(
    space_ref="s", space_id="s-1", space_name="s", task_ref="t", task_id="t-1", task_name="t",
    seed=0, budget=Budget(), settings={}, sources={},
)
ledger.runs.claim(run.id, name)
print("ready", flush=True)
sys.stdin.readline()
for n in range(40):
    new = NewTrial(
        architecture=Architecture.of(n), fidelity="8ep", seed=0, origin=Origin.EXPLORE
    )
    (trial,) = ledger.trials.open(run.id, None, [new])
    if ledger.results.start(trial.result_id, name):
        ledger.results.close(
            trial.result_id, status=ResultStatus.DONE, value=float(n), message=name
        )
        print(trial.result_id, flush=True)
"""


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, *arguments],
        env={"PYTHONPATH": SOURCE},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_processes_that_open_a_new_home_together_train_each_result_once(tmp_path: Path) -> None:
    workers = [start(str(tmp_path), f"driver-{n}") for n in range(3)]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    started = []
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    for worker in workers:
        output, _ = worker.communicate(timeout=60)
        assert worker.returncode == 0
        started += output.split()
    assert sorted(map(int, started)) == list(range(1, 41))
    ledger = Ledger.open(tmp_path)
    for run in ledger.runs.all():
        trials = ledger.trials.of(run.id)
        assert [trial.number for trial in trials] == list(range(1, 41))
        assert [trial.value for trial in trials] == [float(n) for n in range(40)]
        assert {trial.status for trial in trials} == {ResultStatus.DONE}
    ledger.close()


@pytest.mark.parametrize("in_memory", [False, True])
def test_threads_train_each_result_once(
    ledger: Ledger,
    new_run: Callable[..., Run],
    new_trials: Callable[..., list[NewTrial]],
    in_memory: bool,
) -> None:
    ledger = Ledger.in_memory() if in_memory else ledger
    runs = [new_run(ledger).id for _ in range(8)]

    def work(run_id: str) -> int:
        won = 0
        for n in range(10):
            (trial,) = ledger.trials.open(run_id, None, new_trials(str(n)))
            if ledger.results.start(trial.result_id, run_id):
                won += 1
                ledger.results.close(trial.result_id, status=ResultStatus.DONE, value=1.0)
        return won

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(work, runs)) == 10
    for run_id in runs:
        assert [trial.number for trial in ledger.trials.of(run_id)] == list(range(1, 11))
    if in_memory:
        ledger.close()


def test_threads_that_add_principles_never_share_a_number(
    ledger: Ledger, new_run: Callable[..., Run], rule: Callable[..., Rule]
) -> None:
    run = new_run(ledger)

    def work(n: int) -> str:
        edit = Add(rationale="seen", statement="use it", rule=rule((f"edge_{n}", "conv")))
        return ledger.principles.apply_edit(run.id, "t", "s", n, "m", edit).name

    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(work, range(24)))
    assert sorted(names) == sorted(f"P{n}.1" for n in range(1, 25))
