import asyncio
import itertools
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vitruvius.errors import ConfigError
from vitruvius.spaces.pool import Pool
from vitruvius.spaces.registry import load_space
from vitruvius.spaces.space import SearchSpace
from vitruvius.tasks.data.datasets import create_dataset_task
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.tables.table import TableRow
from vitruvius.tasks.task import Constraints, Fidelity, Recipe, Task
from vitruvius.tools.testing import EvaluatorContract, Make
from vitruvius.tools.training.evaluation import (
    Evaluator,
    Failed,
    FailureKind,
    Outcome,
    Request,
    Trained,
)
from vitruvius.tools.training.evaluator import TableEvaluator, create_evaluator
from vitruvius.tools.training.pool import WorkerPool
from vitruvius.tools.training.worker_setup import Carried

TOYS = Path(__file__).with_name("toys.py")
LOOKUP = Path(__file__).parents[1] / "runs" / "tiny.py"
MakeRequest = Callable[..., Request]


def evaluate(evaluator: Evaluator, *requests: Request) -> list[Outcome]:
    async def scenario() -> list[Outcome]:
        try:
            return [await evaluator.evaluate(request) for request in requests]
        finally:
            await evaluator.aclose()

    return asyncio.run(scenario())


class TestWorkers(EvaluatorContract):
    @pytest.fixture(scope="class")
    @classmethod
    def make(
        cls, toy_space: SearchSpace, toy_task: Task, tmp_path_factory: pytest.TempPathFactory
    ) -> Make:
        return lambda: create_evaluator(
            toy_task, toy_space, run_dir=tmp_path_factory.mktemp("run"), workers=2
        )

    @pytest.fixture(scope="class")
    @classmethod
    def requests(cls, toy_request: MakeRequest) -> list[Request]:
        return [toy_request(i, kind, seed=i) for i, kind in enumerate(("mlp", "linear", "mlp"))]

    @pytest.fixture(scope="class")
    @classmethod
    def impossible(cls, toy_request: MakeRequest) -> Request:
        return toy_request(9, "raise")


class TestTable(EvaluatorContract):
    @pytest.fixture(scope="class")
    @classmethod
    def task(cls, shared_data: Path) -> Task:
        return load_task(f"table:{shared_data / 'nas_bench_201.parquet'},metric=c10")

    @pytest.fixture(scope="class")
    @classmethod
    def make(cls, task: Task, tmp_path_factory: pytest.TempPathFactory) -> Make:
        folder = tmp_path_factory.mktemp("run")
        return lambda: create_evaluator(task, load_space("nb201"), run_dir=folder, workers=2)

    @pytest.fixture(scope="class")
    @classmethod
    def requests(cls, task: Task) -> list[Request]:
        space, rng = load_space("nb201"), np.random.default_rng(0)
        return [
            Request(result_id=i, architecture=space.sample(rng), fidelity=task.fidelity, seed=i)
            for i in range(3)
        ]

    @pytest.fixture(scope="class")
    @classmethod
    def impossible(cls, requests: list[Request]) -> Request:
        return Request(
            result_id=9,
            architecture=requests[0].architecture,
            fidelity=Fidelity(epochs=7),
            seed=0,
        )

    def test_it_starts_no_process_and_repeats_the_table(
        self, make: Make, requests: list[Request]
    ) -> None:
        evaluator = make()
        assert isinstance(evaluator, TableEvaluator)
        [outcome] = evaluate(evaluator, requests[0])
        assert isinstance(outcome, Trained)
        assert outcome.train_s > 100, "the seconds of a table are its own"
        assert outcome.test is not None
        assert outcome.params

    def test_constraints_hold_for_tables(
        self, shared_data: Path, requests: list[Request], tmp_path: Path
    ) -> None:
        task = load_task(f"table:{shared_data / 'nas_bench_201.parquet'},metric=c10,params=1000")
        [outcome] = evaluate(
            create_evaluator(task, load_space("nb201"), run_dir=tmp_path), requests[0]
        )
        assert isinstance(outcome, Failed)
        assert outcome.kind is FailureKind.INFEASIBLE
        assert outcome.message.startswith("constraint: ")


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        (lambda: TableRow(value=math.nan, test=None, train_s=1.0, params=1, flops=1),
         FailureKind.DIVERGED, "the table's value is nan"),
        (lambda: {}["a\nb"], FailureKind.FAILED, "KeyError: 'a\\nb'\nTraceback"),
        (lambda: None, FailureKind.FAILED, "AttributeError: "),
    ],
)  # fmt: skip
def test_a_table_of_ones_own_may_fail(
    answer: Callable[[], Any],
    kind: FailureKind,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task = load_task(str(LOOKUP) + ":lookup")
    monkeypatch.setattr(task, "lookup", lambda *_: answer())
    space = load_space("macro")
    request = Request(
        result_id=1,
        architecture=space.sample(np.random.default_rng(0)),
        fidelity=task.fidelity,
        seed=0,
    )
    [outcome] = evaluate(create_evaluator(task, space, run_dir=tmp_path), request)
    assert isinstance(outcome, Failed)
    assert outcome.kind is kind
    assert outcome.message.startswith(message)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Constraints(params=100), "parameters, at most 100"),
        (Constraints(flops=100), "multiply-adds, at most 100"),
    ],
)
def test_constraints_are_checked_before_anything_is_trained(
    tmp_path: Path, limits: Constraints, words: str
) -> None:
    rng = np.random.default_rng(0)
    task = create_dataset_task(
        rng.normal(size=(200, 1, 16)), rng.integers(0, 3, 200), constraints=limits
    )
    space = load_space("nb201")
    seen: list[int] = []
    evaluator = create_evaluator(
        task, space, run_dir=tmp_path, on_beat=lambda request, epoch, value: seen.append(epoch)
    )
    [outcome] = evaluate(
        evaluator,
        Request(result_id=1, architecture=space.sample(rng), fidelity=task.fidelity, seed=0),
    )
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.INFEASIBLE
    assert outcome.message.startswith("constraint: ")
    assert words in outcome.message
    assert not outcome.retriable
    assert seen == []


def test_a_real_cell_trains_on_objects_given_in_python(tmp_path: Path) -> None:
    """The task has no reference: it travels by value. So does the pool."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 300)
    inputs = rng.normal(size=(300, 1, 16)) + labels[:, None, None]
    task = create_dataset_task(inputs, labels, recipe=Recipe(epochs=2))
    nb201 = load_space("nb201")
    pool = Pool(nb201, [nb201.sample(rng) for _ in range(4)])
    assert task.ref == pool.ref == ""
    [outcome] = evaluate(
        create_evaluator(task, pool, run_dir=tmp_path),
        Request(result_id=1, architecture=pool.sample(rng), fidelity=task.fidelity, seed=0),
    )
    assert isinstance(outcome, Trained), outcome
    assert len(outcome.curve) == 2
    assert outcome.params
    assert outcome.flops
    assert outcome.peak_mib


@pytest.fixture
def own_file(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "mine.py"
    path.write_text(TOYS.read_text())
    before = set(sys.modules)
    yield path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_a_source_that_changes_during_the_run_is_refused(
    own_file: Path, tmp_path: Path, toy_request: MakeRequest
) -> None:
    evaluator = create_evaluator(
        load_task(f"{own_file}:task"), load_space(f"{own_file}:space"), run_dir=tmp_path / "run"
    )
    own_file.write_text(own_file.read_text() + "\n# another word\n")
    with pytest.raises(ConfigError, match=r"source of .*mine\.py:\w+ has changed"):
        evaluate(evaluator, toy_request(1, "mlp"))


def test_a_task_whose_data_changes_during_the_run_is_refused(
    own_file: Path, tmp_path: Path, toy_request: MakeRequest
) -> None:
    task = load_task(f"{own_file}:task")
    run_dir = tmp_path / "run"
    pool = create_evaluator(task, load_space(f"{own_file}:space"), run_dir=run_dir)
    assert isinstance(pool, WorkerPool)
    pool._setup.task.sources.clear()
    pool._setup.task.sources.update(Carried.of(task).sources)
    object.__setattr__(pool._setup.task, "id", "points-of-old")
    with pytest.raises(ConfigError, match="expected points-of-old"):
        evaluate(pool, toy_request(1, "mlp"))


def test_code_that_fails_to_load_is_told_with_its_line(
    tmp_path: Path, toy_request: MakeRequest
) -> None:
    """It loads here and not in the worker: it depends on the process."""
    path = tmp_path / "picky.py"
    guard = "import sys\nif 'pytest' not in sys.modules:\n    raise RuntimeError('only here')\n"
    path.write_text(guard + TOYS.read_text())
    evaluator = create_evaluator(
        load_task(f"{TOYS}:task"), load_space(f"{path}:space"), run_dir=tmp_path / "run"
    )
    with pytest.raises(ConfigError, match=r"line 3 of .*picky\.py raised RuntimeError: only here"):
        evaluate(evaluator, toy_request(1, "mlp"))


def test_arguments_out_of_range_are_refused(
    tmp_path: Path, toy_space: SearchSpace, toy_task: Task
) -> None:
    for name, value in [
        ("workers", 0),
        ("threads", 0),
        ("deadline_s", 0.0),
        ("memory_mib", -1.0),
        ("silent_s", 0),
    ]:
        with pytest.raises(ConfigError, match=f"{value}"):
            create_evaluator(toy_task, toy_space, run_dir=tmp_path, **{name: value})


def test_a_folder_that_cannot_be_made_is_refused(
    tmp_path: Path, toy_space: SearchSpace, toy_task: Task
) -> None:
    (tmp_path / "run").write_text("a file")
    with pytest.raises(ConfigError, match="cannot be written"):
        create_evaluator(toy_task, toy_space, run_dir=tmp_path / "run")


def test_a_space_that_builds_nothing_needs_a_table(tmp_path: Path, toy_task: Task) -> None:
    class Empty:
        name = "empty"

    with pytest.raises(ConfigError, match="empty builds no networks"):
        create_evaluator(toy_task, Empty(), run_dir=tmp_path)


def test_a_device_that_is_not_there_is_refused(
    tmp_path: Path, toy_space: SearchSpace, toy_task: Task, toy_request: MakeRequest
) -> None:
    evaluator = create_evaluator(toy_task, toy_space, run_dir=tmp_path, device="warp")
    with pytest.raises(ConfigError, match="got 'warp'"):
        evaluate(evaluator, toy_request(1, "mlp"))


def test_a_smaller_fidelity_trains_less(
    tmp_path: Path, toy_space: SearchSpace, toy_task: Task, toy_request: MakeRequest
) -> None:
    requests = [
        toy_request(i, "mlp", epochs=epochs, data=data)
        for i, (epochs, data) in enumerate(itertools.product((1, 4), (0.3, 1.0)))
    ]
    outcomes = evaluate(create_evaluator(toy_task, toy_space, run_dir=tmp_path), *requests)
    assert [len(o.curve) for o in outcomes if isinstance(o, Trained)] == [1, 1, 4, 4]
    assert len({o.curve for o in outcomes if isinstance(o, Trained)}) == 4
