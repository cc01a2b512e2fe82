"""What a page says of other runs: where they agree with this one, and what was best there."""

from __future__ import annotations

from collections.abc import Sequence

from vitruvius.agents.chairs.view import RunView
from vitruvius.agents.model.quoting import quoted
from vitruvius.memory.records import Trial
from vitruvius.memory.transfer.source_hints import Source
from vitruvius.spaces.space import Architecture

SHOWN = 3  # best architectures of a source in the same space
LEAST_SHARED = 5  # architectures that both have scored, before agreement is told


def source_lines(view: RunView) -> list[str]:
    """Returns one line for each source, the most trusted first."""
    ranked = sorted(view.sources, key=lambda source: -source.trust)
    return [_source_line(view, source) for source in ranked]


def _source_line(view: RunView, source: Source) -> str:
    done = _done(source)
    text = (
        f"run {source.run_id} on {quoted(source.task_name, 60)}: {len(done)} architectures scored "
        f"by {source.metric.name}, trust {source.trust:.2f}"
    )
    if source.space.id != view.space.id:
        return f"{text}; another space ({quoted(source.space.name, 40)})"
    best = ", ".join(f"{t.value:.4g} {t.architecture}" for t in done[:SHOWN])
    return f"{text}; {_agreement(view, source)}; best there: {best or 'none'}"


def _done(source: Source) -> list[Trial]:
    done = [trial for trial in source.trials if trial.value is not None]
    return sorted(done, key=lambda t: (-source.metric.sign * (t.value or 0.0), t.number))


def _agreement(view: RunView, source: Source) -> str:
    """Returns the rank correlation over architectures that both runs have scored."""
    there = _means(source.trials, source.metric.sign)
    here = _means(view.trials, view.task.metric.sign)
    shared = [architecture for architecture in here if architecture in there]
    if len(shared) < LEAST_SHARED:
        return f"only {len(shared)} of them scored here too"
    from scipy.stats import spearmanr

    result = spearmanr([there[a] for a in shared], [here[a] for a in shared])
    return f"rank correlation with this run {result.statistic:+.2f} over {len(shared)} of them"


def _means(trials: Sequence[Trial], sign: float) -> dict[Architecture, float]:
    sums: dict[Architecture, tuple[float, int]] = {}
    for trial in trials:
        if trial.value is not None:
            total, count = sums.get(trial.architecture, (0.0, 0))
            sums[trial.architecture] = (total + sign * trial.value, count + 1)
    return {architecture: total / count for architecture, (total, count) in sums.items()}
