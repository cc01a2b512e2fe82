"""When the analyst asks proxies, which, and about what: before and between trainings, sparingly."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache

from vitruvius.agents.chairs.view import RunView
from vitruvius.memory.evidence.calibration import demoted
from vitruvius.spaces.space import Architecture
from vitruvius.tasks.task import Task, TrainableTask
from vitruvius.tools.calls.proxy import Proxy

SHARE = 0.1  # of the examples that trainings see, proxies may see at most
SEEN = 512  # examples that the scores of one architecture cost: 8 passes over a batch of 64
FEWEST, MOST = 8, 32  # architectures in one question

Rank = Callable[[], Sequence[Architecture]]


def ask(view: RunView, rank: Rank) -> Proxy | None:
    """Returns a question about trials that have no scores yet and the next candidates, or None.

    Asked are the proxies that the view names and the run has not demoted, and only where networks
    are really trained: a table's answers cost less than a score. What it may spend is counted in
    examples and not in seconds, so that a run is the same on every machine; seconds follow, as
    both are passes of the same networks.

    Args:
        view: of the run.
        rank: returns untried candidates, the most promising first; called only if there is room.
    """
    room = allowance(view)
    names = [name for name in view.proxies if name not in demoted(view.calibrations)]
    just_asked = bool(view.decisions) and isinstance(view.decisions[-1].call, Proxy)
    if room < FEWEST or not names or just_asked:
        return None
    known = view.board
    told = [t.architecture for t in view.trials if t.value is not None]
    wanted = [
        architecture
        for architecture in dict.fromkeys([*told, *rank()])
        if known is None or not known.has(architecture, names)
    ][: min(room, MOST)]
    if not wanted:
        return None
    return Proxy(
        architectures=[architecture.spec for architecture in wanted],
        proxies=names,
        reason=f"scores of {len(wanted)} architectures that are about to be considered",
    )


def allowance(view: RunView) -> int:
    """Returns about how many more architectures the proxies may be asked now."""
    if not view.proxies:
        return 0
    seen = _remembered(view.task) if isinstance(view.task, Hashable) else _seen(view.task)
    return int(SHARE * seen * (len(view.trials) + view.k) / SEEN) - view.asked


@lru_cache(maxsize=8)
def _remembered(task: Task) -> int:
    return _seen(task)


def _seen(task: Task) -> int:
    """Returns how many examples one training sees; 0 where nothing is really trained.

    (To ask a table whether it is a `TrainableTask` costs a tenth of a decision.)
    """
    if not isinstance(task, TrainableTask):
        return 0
    return len(task.load().train.labels) * task.recipe.epochs
