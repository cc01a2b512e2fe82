"""Fixtures that every floor's tests share."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from shell import Shell
from small_story import tell_small_story

import vitruvius as vt
from vitruvius.agents.model.scripted_server import ScriptedServer
from vitruvius.budget import Budget
from vitruvius.memory.edits import Add, Retire
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import (
    DecisionStatus,
    Evidence,
    ModelCall,
    NewTrial,
    Origin,
    ResultStatus,
    RunStatus,
    Standing,
)
from vitruvius.spaces.registry import load_space
from vitruvius.spaces.rules import Rule, SlotCondition
from vitruvius.spaces.space import Architecture
from vitruvius.tasks.registry import load_task
from vitruvius.tools.report import Report, build_report

settings.register_profile("same", derandomize=True)  # the same examples every time
settings.load_profile("same")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public benchmark tables, which the project does not ship."""
    root = Path(__file__).parents[1]
    folder = Path(os.environ.get("VITRUVIUS_SHARED", root / "../shared")) / "data"
    if not (folder / "nas_bench_201.parquet").is_file():
        pytest.skip(f"no benchmark tables in {folder}; set VITRUVIUS_SHARED")
    return folder.resolve()


@pytest.fixture
def chat_server() -> Iterator[ScriptedServer]:
    """A scripted chat-completions server on loopback that makes native tool calls."""
    with ScriptedServer().running() as server:
        yield server


@pytest.fixture
def shell(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Shell:
    """The command line in an empty folder, with nobody's settings."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("VITRUVIUS_", "OPENAI_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("COLUMNS", "160")
    return Shell(capsys)


HOSTILE = "# **pwned** <script>alert(1)</script> [x](http://evil.example) ![i](y) | a | \x1b[31m`c`"


@dataclass(frozen=True, kw_only=True)
class Story:
    """A run written into a ledger by hand, and what was written."""

    home: Path
    run_id: str
    values: dict[int, float | None]  # validation value by trial number
    tests: dict[int, float]
    archs: list[Architecture]  # of trial 1, 2, ...


@pytest.fixture
def story(tmp_path: Path) -> Story:
    """A home with one finished run of 24 trials on mnist1d and nb201, texts hostile on purpose."""
    return told_story(tmp_path / "home")


@pytest.fixture(scope="module")
def same_story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """The same for a whole module, whose tests only read it."""
    return told_story(tmp_path_factory.mktemp("story") / "home")


def told_story(home: Path) -> Story:
    with Ledger.open(home) as ledger:
        return tell_story(ledger, home)


@pytest.fixture(scope="session")
def read_story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """The same, told once, for tests that only read it."""
    home = tmp_path_factory.mktemp("story") / "home"
    with Ledger.open(home) as ledger:
        return tell_story(ledger, home)


@pytest.fixture(scope="session")
def read_report(read_story: Story) -> Report:
    """The report of that run, for tests that only read it."""
    with Ledger.open(read_story.home) as ledger:
        return build_report(ledger, read_story.run_id, load_space("nb201"), load_task("mnist1d"))


def tell_story(ledger: Ledger, home: Path) -> Story:
    space, task = load_space("nb201"), load_task("mnist1d")
    run = ledger.runs.create(
        space_ref=space.ref, space_id=space.id, space_name=space.name,
        task_ref=task.ref, task_id=task.id, task_name=task.name,
        seed=0, budget=Budget(trials=24, dollars=5.0), settings={"model": "gpt-x"}, sources={},
    )  # fmt: skip
    ledger.runs.claim(run.id, "me")
    rng = np.random.default_rng(3)
    archs: list[Architecture] = []
    while len(archs) < 16:
        drawn = space.sample(rng)
        if drawn not in archs:
            archs.append(drawn)
    plan = [(archs[i], Origin.EXPLORE if i < 8 else Origin.ARCHITECT, 0) for i in range(14)]
    plan += [(archs[14], Origin.CONTROL, 0), (archs[15], Origin.CONTROL, 0)]
    plan += [(archs[9], Origin.REPEAT, 1), (archs[9], Origin.REPEAT, 2)]
    plan += [(archs[i], Origin.CONFIRM, 1000 + s) for s in range(3) for i in (9, 10)]
    decision = ledger.steps.add_decision(
        run.id, 0, "analyst", {"tool": "train"}, DecisionStatus.ACCEPTED
    )
    trials = ledger.trials.open(
        run.id,
        decision.id,
        [NewTrial(architecture=a, fidelity="8ep", seed=s, origin=o) for a, o, s in plan],
    )
    ledger.steps.close_decision(decision.id, DecisionStatus.CARRIED_OUT, "done")
    ledger.steps.add_decision(
        run.id, 1, "gpt-x", {"text": HOSTILE}, DecisionStatus.MALFORMED, "no JSON"
    )
    values: dict[int, float | None] = {}
    tests: dict[int, float] = {}
    for trial in trials:
        ledger.results.start(trial.result_id, "me")
        if trial.number == 5:
            ledger.results.close(
                trial.result_id, status=ResultStatus.DIVERGED, train_s=1.5, message=HOSTILE
            )
            values[5] = None
            continue
        quality = 60.0 + 2.0 * archs.index(trial.architecture)
        if trial.architecture == archs[9]:
            quality += 20.0
        if trial.architecture == archs[10]:
            quality += 17.0
        values[trial.number] = round(quality + float(rng.normal()), 3)
        tests[trial.number] = values[trial.number] - 0.5  # type: ignore[operator]
        ledger.results.close(
            trial.result_id, status=ResultStatus.DONE, value=values[trial.number],
            test=tests[trial.number], train_s=3.0, curve=(1.0, 2.0), params=1234, flops=56789,
            weights=str(_touched(home / f"runs/{run.id}/weights/{trial.result_id}.pt")),
        )  # fmt: skip
    _learn(ledger, run.id)
    ledger.steps.add_call(
        run.id,
        ModelCall(
            chair="architect", step=1, model="gpt-x", prompt="p", reply="r", tokens_in=100,
            tokens_out=10, tokens_estimated=True, dollars=0.25, wall_s=2.0,
        ),
    )  # fmt: skip
    ledger.runs.beat(run.id, "me", 90.0)
    ledger.runs.release(run.id, "me", RunStatus.DONE)
    return Story(home=home, run_id=run.id, values=values, tests=tests, archs=archs)


def _touched(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def _learn(ledger: Ledger, run_id: str) -> None:
    """Writes two principles with evidence, a third that is retired, and two cuts, one undone."""
    rules = [
        Rule(stance="require", all=(SlotCondition(slot="edge_0_3", choices=(choice,)),))
        for choice in ("nor_conv_3x3", "nor_conv_1x1")
    ]
    rules.append(Rule(stance="avoid", all=(SlotCondition(slot="edge_0_1", choices=("none",)),)))
    for number, rule in enumerate(rules, start=1):
        ledger.principles.apply_edit(
            run_id, "mnist1d", "nb201", number, "gpt-x",
            Add(statement=f"{HOSTILE} {number}", rule=rule, rationale=HOSTILE),
        )  # fmt: skip
    ledger.principles.apply_edit(
        run_id, "mnist1d", "nb201", 5, "analyst", Retire(principle="P3", rationale="it failed")
    )
    for principle, effect, standing in (
        (1, 0.8, Standing.SUPPORTED),
        (2, -0.4, Standing.CONTRADICTED),
    ):
        ledger.evidence.add(
            [
                Evidence(
                    run_id=run_id, principle=principle, version=1, up_to=14, look=2, n_in=4,
                    n_out=10, effect=effect, low=effect - 0.3, high=effect + 0.3, p_value=0.01,
                    doubly_robust=effect, points=effect * 3, top_loss=0.01, top_loss_high=0.04,
                    kept=0.2, standing=standing, supporting=(9, 10), contradicting=(3,),
                )
            ]
        )  # fmt: skip
    for step, rule in ((2, rules[2]), (3, rules[0])):
        ledger.cuts.add(run_id, step, rule, "P1.1", HOSTILE, False, 0.5, 0.04)
    ledger.cuts.undo(run_id, 2, 4, "you", HOSTILE)


@pytest.fixture
def small_run(tmp_path: Path) -> vt.SearchRun:
    """An interrupted run of nine trials on a tiny space, with two principles and a cut."""
    return tell_small_story(tmp_path / "home")
