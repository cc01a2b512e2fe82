"""What a model file names in LAPT's chair, beside counting: how much of the target's best is left.

`python -m vitruvius.evals.studies.lapt_chair_run --table TABLE --model FILE.gguf` shows the
source's best 50 cells and compares the operations that come back with the most frequent ones.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from vitruvius.agents.model.client import ModelClient
from vitruvius.agents.model.endpoint import DUMMY_KEY, Endpoint
from vitruvius.agents.model.local import REPLY_TOKENS, served
from vitruvius.evals.arms.controls import Allowed
from vitruvius.evals.arms.lapt_chair import LaptChair
from vitruvius.spaces.registry import load_space
from vitruvius.spaces.space import Architecture, SearchSpace
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.tables.table import TabularTask

SHOWN = 50
BEST = 16  # of the target: the best 0.1 %
CONTEXT = 12_288


def best_of(task: TabularTask, count: int) -> list[Architecture]:
    """Returns the best architectures of a table by validation."""
    values = task.all_values()
    return sorted(values, key=lambda one: -task.metric.sign * values[one][0])[:count]


def counted(space: SearchSpace, good: Sequence[Architecture], most: int) -> Allowed:
    """Returns every slot's most frequent choices."""
    held = {slot.name: Counter(a.spec[slot.name] for a in good) for slot in space.slots}
    return {
        slot.name: tuple(sorted(slot.names, key=lambda name: -held[slot.name][name])[:most])
        for slot in space.slots
    }


def line(author: str, allowed: Allowed, best: Sequence[Architecture], more: str) -> str:
    """Returns what an author's operations leave, as a row of the table."""
    kept = sum(all(a.spec[slot] in names for slot, names in allowed.items()) for a in best)
    size = math.prod(len(names) for names in allowed.values())
    return f"| {author} | {size} | {kept} of {len(best)} | {more} |"


def main() -> None:
    """Prints one row for counting and one for each answer of a model."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--table", type=Path, required=True, help="nas_bench_201.parquet")
    parser.add_argument("--model", type=Path, action="append", required=True)
    parser.add_argument("--source", default="in16")
    parser.add_argument("--target", default="c10")
    parser.add_argument("--most", type=int, default=2, help="operations per slot")
    args = parser.parse_args()
    space = load_space("nb201")
    tasks = [load_task(f"table:{args.table},metric={m}") for m in (args.source, args.target)]
    source, target = tasks
    assert isinstance(source, TabularTask)
    assert isinstance(target, TabularTask)
    good, best = best_of(source, SHOWN), best_of(target, BEST)
    print("| chair | cells left | of the target's best | calls, tokens, seconds, turned down |")
    print("|---|---|---|---|")
    print(line("counting", counted(space, good, args.most), best, "-"))
    for file in args.model:
        with served(file, context=CONTEXT) as url:
            endpoint = Endpoint(
                model=file.stem,
                base_url=url,
                api_key=DUMMY_KEY,
                timeout_s=1200,
                max_tokens=REPLY_TOKENS,
                temperature=0.0,
            )
            chair = LaptChair(client=ModelClient(endpoint), space=space, most=args.most)
            allowed = chair.learn(good)
        tokens = sum(call.tokens_in + call.tokens_out for call in chair.calls)
        wall = sum(call.wall_s for call in chair.calls)
        more = f"{len(chair.calls)}, {tokens:,}, {wall:.0f}, {len(chair.problems)}"
        print(line(file.stem, allowed, best, more))
        print(f"<!-- {chair.principles} {allowed} {chair.problems} -->")


if __name__ == "__main__":
    main()
