"""Whatever befalls a worker: the outcome is typed, the next request is served, no process stays."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import cast

import psutil
import pytest
import torch
from blockbuster import blockbuster_ctx

from vitruvius.errors import ConfigError
from vitruvius.spaces.registry import load_space
from vitruvius.spaces.space import Architecture
from vitruvius.tasks.registry import load_task
from vitruvius.tools.passes.scoring import score
from vitruvius.tools.training.evaluation import (
    Failed,
    FailureKind,
    Outcome,
    Question,
    Request,
    Scored,
    Trained,
    outcome_path,
    write_outcome,
)
from vitruvius.tools.training.evaluator import adopt, create_evaluator
from vitruvius.tools.training.pool import WorkerPool
from vitruvius.tools.training.worker_process import WorkerProcess
from vitruvius.tools.training.worker_setup import Setup

TOYS = Path(__file__).with_name("toys.py")
MakeRequest = Callable[..., Request]


def create_pool(run_dir: Path, **options: object) -> WorkerPool:
    space, task = load_space(f"{TOYS}:space"), load_task(f"{TOYS}:task")
    return cast("WorkerPool", create_evaluator(task, space, run_dir=run_dir, **options))


def evaluate(run_dir: Path, *requests: Request, **options: object) -> list[Outcome]:
    """Returns the outcomes of requests carried out one after another by one warm worker."""

    async def scenario() -> list[Outcome]:
        pool = create_pool(run_dir, **options)
        try:
            return [await pool.evaluate(request) for request in requests]
        finally:
            await pool.aclose()

    outcomes = asyncio.run(scenario())
    assert not workers()
    return outcomes


def workers() -> list[psutil.Process]:
    """Returns the children of this process, zombies included."""
    return psutil.Process().children(recursive=True)


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until(claim: Callable[[], bool], timeout_s: float = 20.0) -> bool:
    end = time.monotonic() + timeout_s
    while not claim() and time.monotonic() < end:
        time.sleep(0.05)
    return claim()


def test_the_same_request_gives_the_same_numbers_in_another_process_and_after_others(
    tmp_path: Path, toy_request: MakeRequest
) -> None:
    first, other, again = evaluate(
        tmp_path / "a",
        toy_request(1, "mlp"),
        toy_request(2, "noisy", seed=5, data=0.5),
        toy_request(3, "mlp"),
    )
    [elsewhere] = evaluate(tmp_path / "b", toy_request(1, "mlp"))
    assert isinstance(first, Trained)
    for same in (again, elsewhere):
        assert isinstance(same, Trained)
        assert (same.value, same.test, same.curve) == (first.value, first.test, first.curve)
        assert first.weights is not None
        assert same.weights is not None
        mine, theirs = (torch.load(w, weights_only=True) for w in (first.weights, same.weights))
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert isinstance(other, Trained), "printing to standard output must not break the protocol"
    assert other.curve != first.curve


def test_a_finished_outcome_is_adopted_and_not_trained_again(
    tmp_path: Path, toy_request: MakeRequest
) -> None:
    known = Trained(value=12.5, test=11.0, train_s=3.0)
    request = toy_request(1, "hang")
    write_outcome(tmp_path, request, known)
    assert evaluate(tmp_path, request) == [known]


def test_what_architectures_do_is_typed_and_spoils_nothing(
    tmp_path: Path, toy_request: MakeRequest
) -> None:
    kinds = ("nan", "raise", "sys_exit", "eat", "exit", "mlp")
    requests = [toy_request(i, kind) for i, kind in enumerate(kinds)]
    nan, raised, left, ate, crashed, trained = evaluate(tmp_path, *requests, memory_mib=700)

    assert isinstance(nan, Failed)
    assert nan.kind is FailureKind.DIVERGED
    assert isinstance(raised, Failed)
    assert raised.kind is FailureKind.FAILED
    assert raised.message.startswith("ValueError: these shapes do not fit\nTraceback")
    assert "toys.py" in raised.message
    assert isinstance(left, Failed)
    assert left.kind is FailureKind.FAILED
    assert isinstance(ate, Failed)
    assert ate.kind is FailureKind.OUT_OF_MEMORY
    assert isinstance(crashed, Failed)
    assert crashed.kind is FailureKind.FAILED
    assert "exit code 7" in crashed.message
    assert "about to leave" in crashed.message
    assert isinstance(trained, Trained)

    assert [each.retriable for each in (nan, raised, left, ate, crashed)] == [False] * 4 + [True]
    # what may be tried again is not finished; the rest is, and resume adopts it
    assert [adopt(tmp_path, i) is not None for i in range(6)] == [True] * 4 + [False, True]


def test_a_hung_worker_is_killed_at_the_deadline_and_replaced(
    tmp_path: Path, toy_request: MakeRequest
) -> None:
    started = time.monotonic()
    hung, trained = evaluate(
        tmp_path, toy_request(1, "hang"), toy_request(2, "linear"), deadline_s=0.5
    )
    assert isinstance(hung, Failed)
    assert hung.kind is FailureKind.TIMEOUT
    assert not hung.retriable
    assert 0.5 <= hung.train_s < 10
    assert adopt(tmp_path, 1) == hung
    assert isinstance(trained, Trained)
    assert time.monotonic() - started < 60


def test_a_worker_without_a_sign_of_life_is_hung(tmp_path: Path, toy_request: MakeRequest) -> None:
    [hung] = evaluate(tmp_path, toy_request(1, "stubborn"), silent_s=0.5)
    assert isinstance(hung, Failed)
    assert hung.kind is FailureKind.TIMEOUT
    assert "no sign of life for 0.5 s" in hung.message


def test_a_training_that_looks_at_the_clock_ends_by_itself_and_its_worker_stays(
    tmp_path: Path, toy_request: MakeRequest
) -> None:
    async def scenario() -> tuple[Outcome, set[int], set[int]]:
        pool = create_pool(tmp_path, deadline_s=0.4)
        try:
            await pool.evaluate(toy_request(1, "linear"))
            before = {process.pid for process in workers()}
            slow = await pool.evaluate(toy_request(2, "slow", epochs=50))
            return slow, before, {process.pid for process in workers()}
        finally:
            await pool.aclose()

    slow, before, after = asyncio.run(scenario())
    assert isinstance(slow, Failed)
    assert slow.kind is FailureKind.TIMEOUT
    assert "time was up in epoch" in slow.message
    assert before == after


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "signal_name"), [("kill", "SIGKILL"), ("segfault", "SIGSEGV")])
def test_a_killed_worker_is_a_failure_worth_another_try(
    tmp_path: Path, toy_request: MakeRequest, kind: str, signal_name: str
) -> None:
    killed, trained = evaluate(tmp_path, toy_request(1, kind), toy_request(2, "linear"))
    assert isinstance(killed, Failed)
    assert killed.kind is FailureKind.FAILED
    assert killed.retriable
    assert signal_name in killed.message
    assert isinstance(trained, Trained)


def test_memory_held_by_children_counts(tmp_path: Path, toy_request: MakeRequest) -> None:
    [ate] = evaluate(tmp_path, toy_request(1, "eat_in_children"), memory_mib=800)
    assert isinstance(ate, Failed)
    assert ate.kind is FailureKind.OUT_OF_MEMORY
    assert "of the 800 MiB" in ate.message
    assert adopt(tmp_path, 1) == ate


def test_a_cap_below_what_torch_needs_is_refused(tmp_path: Path, toy_request: MakeRequest) -> None:
    with pytest.raises(ConfigError, match="an idle one already holds"):
        evaluate(tmp_path, toy_request(1, "linear"), memory_mib=50)


def test_cancelling_kills_the_worker_and_what_it_started(
    tmp_path: Path, toy_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = tmp_path / "child"
    monkeypatch.setenv("TOY_MARKER", str(marker))

    async def scenario() -> Outcome:
        pool = create_pool(tmp_path)
        try:
            task = asyncio.create_task(pool.evaluate(toy_request(1, "child")))
            await asyncio.to_thread(wait_until, lambda: marker.exists() and marker.read_text())
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not workers()
            return await pool.evaluate(toy_request(2, "linear"))
        finally:
            await pool.aclose()

    assert isinstance(asyncio.run(scenario()), Trained)
    assert not is_alive(int(marker.read_text()))
    assert adopt(tmp_path, 1) is None


def test_closing_cancels_what_is_under_way_and_what_waits(
    tmp_path: Path, toy_request: MakeRequest
) -> None:
    async def scenario() -> list[Outcome]:
        pool = create_pool(tmp_path)
        started = [pool.evaluate(toy_request(i, "hang")) for i in range(3)]
        evaluations = asyncio.gather(*started)
        await asyncio.sleep(0.5)
        await pool.aclose()
        return await evaluations

    outcomes = asyncio.run(scenario())
    assert [o.kind for o in outcomes if isinstance(o, Failed)] == [FailureKind.CANCELLED] * 3
    assert not workers()
    assert [adopt(tmp_path, i) for i in range(3)] == [None] * 3


def test_closing_while_a_worker_is_being_started_leaves_none(
    tmp_path: Path, toy_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, is_up = WorkerProcess.start, asyncio.Event()

    async def slowly(setup: Setup) -> WorkerProcess:
        worker = await start(setup)
        is_up.set()
        await asyncio.sleep(0.2)
        return worker

    async def scenario() -> Outcome:
        pool = create_pool(tmp_path)
        evaluation = asyncio.create_task(pool.evaluate(toy_request(1, "hang")))
        await is_up.wait()
        await asyncio.wait_for(pool.aclose(), 20)
        return await evaluation

    monkeypatch.setattr(WorkerProcess, "start", slowly)
    outcome = asyncio.run(scenario())
    assert isinstance(outcome, Failed)
    assert outcome.kind == FailureKind.CANCELLED
    assert not workers()


def test_two_workers_work_at_once_and_each_is_told_apart(
    tmp_path: Path, toy_request: MakeRequest
) -> None:
    running: set[int] = set()
    most: list[int] = [0]

    def on_beat(request: Request, epoch: int, value: float | None) -> None:
        running.add(request.result_id)
        if epoch == 40 and value is not None:
            running.discard(request.result_id)
        most[0] = max(most[0], len(running))

    async def scenario() -> list[Outcome]:
        pool = create_pool(tmp_path, workers=2, on_beat=on_beat)
        try:
            assert pool.slots == 2
            with blockbuster_ctx("vitruvius"):
                requests = [toy_request(i, "slow", epochs=40, data=0.2) for i in range(2)]
                return await asyncio.gather(*map(pool.evaluate, requests))
        finally:
            await pool.aclose()

    outcomes = asyncio.run(scenario())
    assert all(isinstance(outcome, Trained) for outcome in outcomes), outcomes
    assert most[0] == 2


def test_an_outcome_that_cannot_be_written_is_a_clear_failure(
    tmp_path: Path, toy_request: MakeRequest
) -> None:
    (tmp_path / "outcomes").write_text("in the way")
    [failed] = evaluate(tmp_path, toy_request(1, "linear"))
    assert isinstance(failed, Failed)
    assert failed.retriable
    assert "cannot be written" in failed.message
    assert str(tmp_path) in failed.message


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB, where this process may mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("may not mount a small tmpfs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_a_clear_failure_and_nothing_is_lost_once_there_is_room(
    small_disk: Path, toy_request: MakeRequest
) -> None:
    filler = small_disk / "filler"

    async def scenario() -> list[Outcome]:
        pool = create_pool(small_disk)
        try:
            before = await pool.evaluate(toy_request(1, "mlp"))
            with pytest.raises(OSError, match="No space left"):
                filler.write_bytes(b"x" * 2**20)
            full = await pool.evaluate(toy_request(2, "mlp"))
            filler.unlink()
            return [before, full, await pool.evaluate(toy_request(2, "mlp"))]
        finally:
            await pool.aclose()

    before, full, after = asyncio.run(scenario())
    assert isinstance(full, Failed)
    assert "No space left on device" in full.message
    assert full.retriable
    assert isinstance(before, Trained)
    assert isinstance(after, Trained)
    assert adopt(small_disk, 1) == before
    assert after.value == before.value


DRIVER = """
    import asyncio, sys
    from pathlib import Path
    from vitruvius.spaces.registry import load_space
    from vitruvius.spaces.space import Architecture
    from vitruvius.tasks.registry import load_task
    from vitruvius.tasks.task import Fidelity
    from vitruvius.tools.training.evaluation import Request
    from vitruvius.tools.training.evaluator import create_evaluator

    toys, run_dir, kind = sys.argv[1:]
    pool = create_evaluator(
        load_task(f"{toys}:task"),
        load_space(f"{toys}:space"),
        run_dir=Path(run_dir),
        on_beat=lambda request, epoch, value: print("beat", flush=True),
    )
    request = Request(
        result_id=1,
        architecture=Architecture.of({"kind": kind}),
        fidelity=Fidelity(epochs=1000),
        seed=1,
    )
    asyncio.run(pool.evaluate(request))
"""


@contextmanager
def driver(run_dir: Path, kind: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", textwrap.dedent(DRIVER), str(TOYS), str(run_dir), kind]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("kind", ["slow", pytest.param("stubborn", marks=pytest.mark.slow)])
def test_a_worker_ends_when_its_parent_is_killed(tmp_path: Path, kind: str) -> None:
    with driver(tmp_path, kind) as process:
        if kind == "slow":
            assert process.stdout is not None
            assert process.stdout.readline() == "beat\n"
        else:
            time.sleep(5)
        children = psutil.Process(process.pid).children(recursive=True)
        assert children
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert wait_until(lambda: not any(is_alive(child.pid) for child in children), 10)
    assert not outcome_path(tmp_path, 1).exists()


@pytest.mark.slow
def test_workers_killed_at_random_moments_lose_nothing_that_is_finished(
    tmp_path: Path, toy_request: MakeRequest
) -> None:
    """Every request is asked again until it ends; each is finished by exactly one training."""
    rng = random.Random(0)
    requests = [toy_request(i, "slow", seed=i, data=0.4) for i in range(8)]

    async def kill_now_and_then() -> None:
        while True:
            await asyncio.sleep(rng.uniform(0.2, 4.0))
            victims = await asyncio.to_thread(workers)
            if victims:
                with suppress(psutil.NoSuchProcess):
                    rng.choice(victims).kill()

    async def ask(pool: WorkerPool, request: Request) -> Outcome:
        while True:
            try:
                outcome = await pool.evaluate(request)
            except ConfigError:  # its worker was killed twice while it started
                continue
            if isinstance(outcome, Trained) or not outcome.retriable:
                return outcome

    async def scenario() -> list[Outcome]:
        pool = create_pool(tmp_path, workers=2)
        killer = asyncio.create_task(kill_now_and_then())
        try:
            return await asyncio.gather(*(ask(pool, request) for request in requests))
        finally:
            killer.cancel()
            await pool.aclose()

    outcomes = asyncio.run(scenario())
    assert all(isinstance(outcome, Trained) for outcome in outcomes), outcomes
    assert [adopt(tmp_path, i, requests[i]) for i in range(8)] == outcomes
    assert not workers()
    assert evaluate(tmp_path, *requests) == outcomes, "and a later pool adopts them all"
    assert not list(tmp_path.rglob("*.tmp"))


def test_scores_come_from_workers_and_equal_those_of_this_process(tmp_path: Path) -> None:
    space, task = load_space(f"{TOYS}:space"), load_task(f"{TOYS}:task")
    asked = [Architecture.of({"kind": kind}) for kind in ("mlp", "linear", "exit", "raise", "mlp")]
    names = ("params", "snip", "grad_norm")

    async def scenario() -> list[Scored]:
        pool = create_pool(tmp_path, workers=2)
        try:
            questions = [Question(architecture=one, proxies=names, seed=3) for one in asked]
            return await asyncio.gather(*map(pool.score, questions))
        finally:
            await pool.aclose()

    mlp, linear, crashed, raised, again = asyncio.run(scenario())
    assert not workers()
    here = score(space, task, asked[:2], names, 3)
    for told, expected in zip((*mlp, *linear), here, strict=True):  # type: ignore[misc]
        assert (told.proxy, told.architecture) == (expected.proxy, expected.architecture)
        assert told.value == pytest.approx(expected.value, rel=1e-5)
    assert [one.value for one in again] == [one.value for one in mlp]  # type: ignore[union-attr]
    assert isinstance(crashed, Failed)
    assert crashed.retriable
    assert "exit code 7" in crashed.message
    assert not isinstance(raised, Failed)
    assert [one.value is None for one in raised] == [False, True, True]
    assert not list(tmp_path.glob("outcomes/*"))
