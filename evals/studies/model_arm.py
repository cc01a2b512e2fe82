"""A model file in both chairs or in one, beside the analyst, with a source to learn from.

    python -m vitruvius.evals.studies.model_arm --table TABLE --model FILE.gguf --chairs theorist

makes one finished search on the source's metric, and lets all arms search the target from the same
memory, in the real graph. Rows are kept as files, so that a second call goes on where the first was
stopped. What is judged first is whether the system stays sound: every reply is carried out or
turned down with a reason, and the run ends within its budget.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import vitruvius as vt
from vitruvius.evals.studies.principle_judge import Verdict, judge_run, to_table
from vitruvius.evals.studies.small_model import MODELS, fetch
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import DecisionStatus, Origin, Standing
from vitruvius.settings import ModelChairs
from vitruvius.tasks.tables.table import TabularTask

SOURCE_TRIALS = 40
ANALYST = "analyst"
GUARDS = (
    DecisionStatus.DUPLICATE,
    DecisionStatus.INVALID,
    DecisionStatus.MALFORMED,
    DecisionStatus.OVER_BUDGET,
    DecisionStatus.REFUSED,
)


def source_home(folder: Path, table: Path, metric: str, seed: int) -> Path:
    """Returns a home with one finished search of the analyst on the source's metric."""
    home = folder / f"source-{metric}-{seed}"
    if not (home / "done").exists():
        shutil.rmtree(home, ignore_errors=True)
        task = f"table:{table},metric={metric}"
        vt.search(
            task, "nb201", f"{SOURCE_TRIALS} trials", home=home, model=ANALYST, seed=seed, workers=1
        )
        (home / "done").touch()
    return home


@dataclass(frozen=True, kw_only=True)
class Arm:
    """Who takes the chairs: the analyst, or a model file in both or in one."""

    model: str = ANALYST
    chairs: ModelChairs = "both"

    @property
    def name(self) -> str:
        """The model's name, and its chair where that is one."""
        return Path(self.model).stem + ("" if self.chairs == "both" else f" as {self.chairs}")


def run_arm(
    source: Path, home: Path, task: str, arm: Arm, seed: int, **more: Any
) -> dict[str, Any]:
    """Returns what one search found and cost, from a copy of the source's memory."""
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(source, home)
    started = time.monotonic()
    given: Any = {"model": arm.model, "model_chairs": arm.chairs, "seed": seed, "workers": 1}
    run = vt.search(task, "nb201", home=home, **given, **more)
    wall_s = time.monotonic() - started
    assert isinstance(run.task, TabularTask)
    row = {"arm": arm.name, "model": Path(arm.model).stem, "seed": seed, "run": run.id}
    return row | {"wall_s": wall_s} | found(run) | guards(run)


def found(run: vt.SearchRun) -> dict[str, Any]:
    """Returns the best by validation, its regret, and queries until the best 0.1 %."""
    task = run.task
    assert isinstance(task, TabularTask)
    sign = task.metric.sign
    with Ledger.open(run.home) as ledger:
        trials = ledger.trials.of(run.id)
        versions = ledger.principles.newest(run.id)
        evidence = ledger.evidence.latest(run.id)
    values = [sign * trial.value for trial in trials if trial.value is not None]
    threshold = sign * task.top_threshold()
    hits = [number for number, value in enumerate(values, start=1) if value >= threshold]
    best = max(sign * value for value, _ in task.all_values().values())
    own = [v for v in versions if v.run_id == run.id]
    supported = [
        v
        for v in own
        if (e := evidence.get((v.principle, v.version))) and e.standing == Standing.SUPPORTED
    ]
    chosen = [trial for trial in trials if trial.origin == Origin.ARCHITECT]
    return {
        "queries": len(values),
        "hit": hits[0] if hits else None,
        "regret": best - max(values),
        "chosen_mean": sum(t.value or 0.0 for t in chosen) / max(1, len(chosen)),
        "principles": Counter(v.author for v in own),
        "supported": Counter(v.author for v in supported),
    }


def guards(run: vt.SearchRun) -> dict[str, Any]:
    """Returns who decided, what was turned down and why, and what the calls cost."""
    with Ledger.open(run.home) as ledger:
        decisions, calls = ledger.steps.decisions(run.id), ledger.steps.calls(run.id)
    carried = [d for d in decisions if d.status == DecisionStatus.CARRIED_OUT]
    down = [d for d in decisions if d.status in GUARDS]
    return {
        "decided": Counter(d.author for d in carried),
        "turned_down": Counter(d.status.value for d in down),
        "problems": [d.outcome for d in down],
        "calls": Counter(call.chair for call in calls),
        "failed_calls": sum(call.error is not None for call in calls),
        "tokens_in": sum(call.tokens_in for call in calls),
        "tokens_out": sum(call.tokens_out for call in calls),
        "model_s": sum(call.wall_s for call in calls),
    }


def judged(rows: Sequence[dict[str, Any]], folder: Path) -> str:
    """Returns the judge's table over the runs of all rows."""
    pooled: dict[str, Verdict] = {}
    for row in rows:
        home = folder / row["home"]
        run = vt.open(row["run"], home=home)
        with Ledger.open(home) as ledger:
            verdicts = judge_run(ledger, run.id, run.space, run.task.metric)
        for author, verdict in verdicts.items():
            pooled.setdefault(f"{row['arm']}: {author}", Verdict()).add(verdict)
    return to_table(pooled)


def summary(rows: Sequence[dict[str, Any]]) -> str:
    """Returns one Markdown line for each search."""
    lines = [
        "| arm | seed | regret | hit at | by the model | turned down | principles (supported) | "
        "calls | tokens in, out | wall |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in sorted(rows, key=lambda r: (r["seed"], r["arm"])):
        own = row["decided"].get(row["model"], 0)
        caught = ", ".join(f"{n} {name}" for name, n in sorted(row["turned_down"].items()))
        cells = (
            row["arm"],
            str(row["seed"]),
            f"{row['regret']:.2f}",
            str(row["hit"] or "-"),
            f"{own} of {sum(row['decided'].values())}",
            caught or "-",
            f"{sum(row['principles'].values())} ({sum(row['supported'].values())})",
            str(sum(row["calls"].values())),
            f"{row['tokens_in']:,}, {row['tokens_out']:,}",
            f"{row['wall_s']:.0f} s",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Runs all arms for each seed; prints what they found, and the judge's table."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--table", type=Path, required=True, help="nas_bench_201.parquet")
    parser.add_argument("--model", nargs="*", default=[], help=f".gguf files, or {[*MODELS]}")
    parser.add_argument("--chairs", nargs="*", default=["both"], choices=get_args(ModelChairs))
    parser.add_argument("--source", default="in16", help="metric that the memory is about")
    parser.add_argument("--target", default="c10", help="metric that is searched")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--prompt-tokens", type=int, default=3000)
    parser.add_argument("--timeout-s", type=float, default=600.0)
    parser.add_argument("--out", type=Path, required=True, help="folder of homes and rows")
    args = parser.parse_args()
    task = f"table:{args.table.absolute()},metric={args.target}"
    files = [str(fetch(name) if name in MODELS else Path(name).absolute()) for name in args.model]
    arms = [Arm(), *(Arm(model=file, chairs=chairs) for file in files for chairs in args.chairs)]
    rows = []
    for seed in range(args.first_seed, args.first_seed + args.seeds):
        source = source_home(args.out, args.table.absolute(), args.source, seed)
        for arm in arms:
            name = f"{arm.name.replace(' ', '-')}-{args.target}-{seed}"
            path = args.out / f"{name}.json"
            if not path.exists():
                given = {"prompt_tokens": args.prompt_tokens, "model_timeout_s": args.timeout_s}
                budget = f"{args.trials} trials, 100M tokens"
                row = run_arm(source, args.out / name, task, arm, seed, budget=budget, **given)
                path.write_text(json.dumps(row | {"home": name}, indent=1), encoding="utf-8")
            rows.append(json.loads(path.read_text(encoding="utf-8")))
    print(summary(rows))
    print()
    print(judged(rows, args.out))


if __name__ == "__main__":
    main()
