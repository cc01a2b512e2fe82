"""Whatever is done in whatever order, the ledger's promises hold."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from vitruvius.budget import Budget
from vitruvius.errors import ToolError
from vitruvius.memory.edits import Add, Edit, Merge, Narrow, Retire, Revise
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import (
    NewTrial,
    Origin,
    PrincipleVersion,
    ResultStatus,
    RunStatus,
    Trial,
)
from vitruvius.spaces.rules import Rule, SlotCondition
from vitruvius.spaces.space import Architecture

FEW = settings(max_examples=15, stateful_step_count=20, deadline=None)
RUNS, DRIVERS = st.integers(0, 1), st.sampled_from(["driver-0", "driver-1"])
PRINCIPLES = st.integers(1, 6).map(lambda n: f"P{n}")
CONDITIONS = st.builds(
    lambda slot, choice: SlotCondition(slot=slot, choices=(choice,)),
    st.sampled_from("ab"),
    st.sampled_from(["conv", "skip"]),
)
RULES = st.builds(
    lambda stance, conditions: Rule(stance=stance, all=tuple(conditions)),
    st.sampled_from(["require", "avoid"]),
    st.lists(CONDITIONS, min_size=1, max_size=2),
)
TEXT = {"rationale": st.just("because"), "statement": st.sampled_from(["use it", "use that"])}
EDITS: st.SearchStrategy[Edit] = st.one_of(
    st.builds(Add, rule=RULES, **TEXT),
    st.builds(Revise, principle=PRINCIPLES, rule=RULES, **TEXT),
    st.builds(Narrow, principle=PRINCIPLES, rule=RULES, **TEXT),
    st.builds(Merge, principles=st.tuples(PRINCIPLES, PRINCIPLES), rule=RULES, **TEXT),
    st.builds(Retire, principle=PRINCIPLES, rationale=st.just("because")),
)


class Machine(RuleBasedStateMachine):
    """A ledger with two runs on one task."""

    @initialize()
    def open(self) -> None:
        self.ledger = Ledger.in_memory()
        fields: dict[str, Any] = {"space_ref": "s", "space_id": "s-1", "space_name": "s"}
        fields |= {"task_ref": "t", "task_id": "t-1", "task_name": "t", "seed": 0}
        fields |= {"budget": Budget(), "settings": {}, "sources": {}}
        self.runs = [self.ledger.runs.create(**fields).id for _ in range(2)]

    def teardown(self) -> None:
        if hasattr(self, "ledger"):
            self.ledger.close()


class EditMachine(Machine):
    """Random edits by two runs."""

    @initialize()
    def begin(self) -> None:
        self.seen: dict[str, PrincipleVersion] = {}
        self.step = 0
        self.last: tuple[str, int, Edit, PrincipleVersion] | None = None

    @rule(run=RUNS, edit=EDITS)
    def edit(self, run: int, edit: Edit) -> None:
        self.step += 1
        before = self.ledger.principles.current(self.runs[run])
        try:
            made = self.ledger.principles.apply_edit(self.runs[run], "t", "s", self.step, "m", edit)
        except ToolError:
            assert self.ledger.principles.current(self.runs[run]) == before
            return
        self.last = (self.runs[run], self.step, edit, made)

    @rule()
    def replay(self) -> None:
        if self.last is not None:
            run_id, step, edit, made = self.last
            assert self.ledger.principles.apply_edit(run_id, "t", "s", step, "m", edit) == made

    @rule(run=RUNS, data=st.data())
    def recall(self, run: int, data: st.DataObject) -> None:
        current = self.ledger.principles.all_current()
        if current:
            version = data.draw(st.sampled_from(current))
            self.ledger.principles.adopt(self.runs[run], version.name, 0.5, None, 0.5)

    @invariant()
    def history_is_intact(self) -> None:
        found: dict[str, PrincipleVersion] = {}
        for number in range(1, 200):
            try:
                history = self.ledger.principles.versions(number)
            except ToolError:
                break
            assert [version.version for version in history] == list(range(1, len(history) + 1))
            found |= {version.name: version for version in history}
        for name, version in self.seen.items():
            assert found[name] == version
        for version in found.values():
            assert all(parent in found for parent in version.parents)
            assert (version.edit in ("revise", "narrow", "retire")) <= (len(version.parents) == 1)
        self.seen = found
        assert set(self.ledger.principles.vectors()) == set(found)

    @invariant()
    def a_run_has_one_version_of_each_and_no_rule_twice(self) -> None:
        for run_id in self.runs:
            current = self.ledger.principles.current(run_id)
            numbers = [version.principle for version in current]
            assert numbers == sorted(set(numbers))
            assert all(version.edit != "retire" for version in current)
        everywhere = [version.principle for version in self.ledger.principles.all_current()]
        assert everywhere == sorted(set(everywhere))


class ResultMachine(Machine):
    """Two drivers that open, start, close, reopen and let go at random."""

    @initialize()
    def begin(self) -> None:
        self.closed: dict[int, Trial] = {}
        self.training: dict[int, str] = {}
        self.holds = {"driver-0": False, "driver-1": False}

    def run_of(self, driver: str) -> str:
        return self.runs[int(driver[-1])]

    @rule(driver=DRIVERS)
    def claim(self, driver: str) -> None:
        self.ledger.runs.claim(self.run_of(driver), driver)
        self.holds[driver] = True
        self.forget(driver)

    @rule(driver=DRIVERS)
    def release(self, driver: str) -> None:
        self.ledger.runs.release(self.run_of(driver), driver, RunStatus.INTERRUPTED)
        self.holds[driver] = False
        self.forget(driver)

    def forget(self, driver: str) -> None:
        self.training = {k: v for k, v in self.training.items() if v != driver}

    @rule(run=RUNS, names=st.lists(st.integers(0, 4), min_size=1, max_size=3))
    def open_trials(self, run: int, names: list[int]) -> None:
        before = self.ledger.trials.of(self.runs[run])
        news = [
            NewTrial(
                architecture=Architecture.of(name), fidelity="8ep", seed=0, origin=Origin.EXPLORE
            )
            for name in names
        ]
        made = self.ledger.trials.open(self.runs[run], None, news)
        assert [trial.number for trial in made] == [len(before) + n + 1 for n in range(len(news))]

    def results(self) -> list[int]:
        trials = [trial for run_id in self.runs for trial in self.ledger.trials.of(run_id)]
        return sorted({trial.result_id for trial in trials})

    @rule(driver=DRIVERS, data=st.data())
    def start(self, driver: str, data: st.DataObject) -> None:
        known = {trial.result_id for trial in self.ledger.trials.of(self.run_of(driver))}
        if not known or not self.holds[driver]:
            return
        result = data.draw(st.sampled_from(sorted(known)))
        won = self.ledger.results.start(result, driver)
        assert won == (result not in self.closed and result not in self.training)
        if won:
            self.training[result] = driver

    @rule(data=st.data(), status=st.sampled_from(["done", "failed", "cancelled", "timeout"]))
    def close(self, data: st.DataObject, status: str) -> None:
        if self.training:
            result = data.draw(st.sampled_from(sorted(self.training)))
            value = 1.0 if status == "done" else None
            assert self.ledger.results.close(result, status=ResultStatus(status), value=value)
            del self.training[result]
            self.closed[result] = self.trial_of(result)

    @rule(data=st.data())
    def close_again(self, data: st.DataObject) -> None:
        if self.closed:
            result = data.draw(st.sampled_from(sorted(self.closed)))
            assert not self.ledger.results.close(result, status=ResultStatus.DONE, value=9.0)

    @rule(data=st.data())
    def reopen(self, data: st.DataObject) -> None:
        if self.closed:
            result = data.draw(st.sampled_from(sorted(self.closed)))
            status = self.closed[result].status
            is_pending = self.ledger.results.reopen(result)
            assert is_pending or status != ResultStatus.CANCELLED
            if is_pending:
                assert status in (ResultStatus.CANCELLED, ResultStatus.FAILED)
                del self.closed[result]

    def trial_of(self, result: int) -> Trial:
        return next(
            trial
            for run_id in self.runs
            for trial in self.ledger.trials.of(run_id)
            if trial.result_id == result
        )

    @invariant()
    def closed_results_stay_and_keys_are_unique(self) -> None:
        owners: dict[str, int] = {}
        for run_id in self.runs:
            for trial in self.ledger.trials.of(run_id):
                assert owners.setdefault(trial.architecture.text, trial.result_id) == (
                    trial.result_id
                )
        for result, trial in self.closed.items():
            now = self.trial_of(result)
            assert (now.status, now.value) == (trial.status, trial.value)


TestEdits = EditMachine.TestCase
TestEdits.settings = FEW
TestResults = ResultMachine.TestCase
TestResults.settings = FEW
