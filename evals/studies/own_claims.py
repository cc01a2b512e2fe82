"""Which published claims about scores survive in the tables of `own_benchmark`.

Every score is turned so that more is meant to be better, as published; so a claim says that its
tau with the loss is below zero. It *survives* if the whole 95 % interval is, *beyond size* if that
of the partial tau with parameters given is too; it is *reversed* if the interval is above zero, and
else *open*. Intervals are of single scores: of 40 true zeros two are expected to look decided.

Beside the scores stand plain counts read off the architecture, and how much the published score of
each kind of network differs from its rivals on the same networks.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import numpy as np

from vitruvius.evals.statistics import Interval
from vitruvius.evals.studies.correlation import (
    DRAWS,
    difference,
    spearman,
    tau,
    with_interval,
    words,
)
from vitruvius.spaces.space import FloatArray

LOSS = "cross_entropy"
FACTS = ("arch", LOSS, "cross_entropy_test", "seed", "epochs", "train_s", "status")
PAIR = ("recurrent_trained", "recurrent_frozen")
RIVALS = {  # of the score for which the claim was made
    "hidden_covariance_1": ("synflow", "naswot", "jacobian_cosine", "snip", "grad_norm", "params"),
    "hidden_covariance_2": ("synflow", "naswot", "jacobian_cosine", "snip", "grad_norm", "params"),
    "attention_confidence": ("params", "depth", "synaptic_diversity", "snip"),
    "attention_confidence_published": ("params", "depth", "synaptic_diversity", "snip"),
}

Rows = Sequence[Mapping[str, str]]


def report(arms: Mapping[str, Rows], draws: int = DRAWS) -> str:
    """Returns the tables of all arms as Markdown, and how the recurrent ones differ."""
    parts = [_arm(name, rows, draws) for name, rows in arms.items() if rows]
    if all(arms.get(name) for name in PAIR):
        parts.append(_pair(arms[PAIR[0]], arms[PAIR[1]], draws))
    return "\n\n".join(parts)


def verdict(direct: Interval, partial: Interval) -> str:
    """Returns what becomes of the claim that more of a score means less loss."""
    if math.isnan(direct.value):
        return "never changes"
    if direct.high < 0:
        return "survives, beyond size" if partial.high < 0 else "survives"
    return "reversed" if direct.low > 0 else "open"


def _arm(name: str, rows: Rows, draws: int) -> str:
    first = [row for row in rows if row["seed"] == "0"]
    trained = [row for row in first if math.isfinite(_number(row[LOSS]))]
    loss = _column(trained, LOSS)
    lines = [
        f"### {name}",
        "",
        f"{len(first)} architectures, {len(first) - len(trained)} without a loss; "
        f"{_noise(rows)}; a training took {np.median(_column(first, 'train_s')):.1f} s (median), "
        f"{_column(first, 'train_s').max():.1f} s of CPU time (longest).",
    ]
    if len(trained) < 3:
        return "\n".join(lines)
    quantiles = " / ".join(f"{value:.3f}" for value in np.quantile(loss, [0, 0.25, 0.5, 0.75, 1]))
    lines += [
        f"Loss: {quantiles} nats (best, quartiles, worst).",
        "",
        "| score | networks | no finite value | tau with loss | given parameters | the claim |",
        "|---|---|---|---|---|---|",
    ]
    found = [
        _line(score, [row for row in trained if row[score] != ""], draws)
        for score in trained[0]
        if score not in FACTS and any(row[score] != "" for row in trained)
    ]
    lines += [line for _, line in sorted(found)]
    return "\n".join([*lines, "", *_rivals(trained, draws), "", *_counts(first, trained, draws)])


def _rivals(rows: Rows, draws: int) -> list[str]:
    """Returns how much tau of a claimed score is above that of others, over networks with both."""
    lines = ["| score | rival | networks | tau minus that of the rival |", "|---|---|---|---|"]
    for score, rivals in RIVALS.items():
        for rival in rivals:
            kept = [row for row in rows if row.get(score, "") != "" and row.get(rival, "") != ""]
            if len(kept) < 3:
                continue
            loss = _column(kept, LOSS)
            apart = difference(
                (_column(kept, score), loss), (_column(kept, rival), loss), draws=draws
            )
            lines.append(f"| {score} | {rival} | {len(kept)} | {words(apart)} |")
    return lines if len(lines) > 2 else []


def _counts(first: Rows, trained: Rows, draws: int) -> list[str]:
    """Returns taus of plain counts with the loss, and of scores where the diverged rank last."""
    lines = ["| read off the architecture | tau with loss |", "|---|---|"]
    loss = _column(trained, LOSS)
    found = [_features(row["arch"]) for row in trained]
    for name in sorted({name for each in found for name in each}):
        values = np.array([each.get(name, 0.0) for each in found])
        told = with_interval(values, loss, draws=draws)
        if not math.isnan(told.value):
            lines.append(f"| {name} | {words(told)} |")
    diverged = [row for row in first if row["status"] == "diverged"]
    if not diverged:
        return lines if len(lines) > 2 else []
    both = [*trained, *diverged]
    worst = np.concatenate([loss, np.full(len(diverged), loss.max() + 1)])
    lines += ["", f"| score | tau, with {len(diverged)} diverged last |", "|---|---|"]
    for score in trained[0]:
        if score in FACTS or any(row[score] == "" for row in both):
            continue
        told = with_interval(_column(both, score), worst, draws=draws)
        if not math.isnan(told.value):
            lines.append(f"| {score} | {words(told)} |")
    return lines


def _features(arch: str) -> dict[str, float]:
    """Returns how often each operation is written in an architecture, and its hidden size."""
    found: dict[str, float] = {}
    for name in re.findall(r'"op(?:eration)?":"(\w+)"', arch):
        kind = re.sub(r"\d+$", "", name)  # convolutions of all widths are one kind
        found[f"number of {kind}"] = found.get(f"number of {kind}", 0.0) + 1
    size = re.search(r'"hidden":(\d+)', arch)
    return {**found, "hidden size": float(size[1])} if size else found


def _line(score: str, rows: Rows, draws: int) -> tuple[float, str]:
    """Returns tau, infinite where there is none, and the line of a score."""
    values, loss, params = (_column(rows, name) for name in (score, LOSS, "params"))
    direct = with_interval(values, loss, draws=draws)
    partial = with_interval(values, loss, given=params, draws=draws)
    lost = int((~np.isfinite(values)).sum())
    cells = (score, len(rows), lost, words(direct), words(partial), verdict(direct, partial))
    order = math.inf if math.isnan(direct.value) else direct.value
    return order, f"| {' | '.join(str(cell) for cell in cells)} |"


def _noise(rows: Rows) -> str:
    """Returns how far two seeds of one architecture are apart."""
    by_seed = [
        {row["arch"]: _number(row[LOSS]) for row in rows if row["seed"] == seed} for seed in "01"
    ]
    apart = [by_seed[0][arch] - again for arch, again in by_seed[1].items() if arch in by_seed[0]]
    kept = [each for each in apart if math.isfinite(each)]
    if not kept:
        return "none trained from two seeds"
    deviation = math.sqrt(float(np.mean(np.square(kept))) / 2)
    return f"deviation between seeds {deviation:.4f} nats ({len(kept)} trained twice)"


def _pair(trained: Rows, frozen: Rows, draws: int) -> str:
    """Returns what freezing does to cells, and to the scores' correlations, paired by cell."""
    both = [
        {
            row["arch"]: row
            for row in rows
            if row["seed"] == "0" and math.isfinite(_number(row[LOSS]))
        }
        for rows in (trained, frozen)
    ]
    shared = [arch for arch in both[0] if arch in both[1]]
    lines = [f"### {PAIR[0]} and {PAIR[1]}: the same {len(shared)} cells", ""]
    if len(shared) < 3:
        return "\n".join(lines)
    first, second = ([rows[arch] for arch in shared] for rows in both)
    losses = _column(first, LOSS), _column(second, LOSS)
    gap = np.median(losses[1] - losses[0])
    lines += [
        f"Freezing costs {gap:.3f} nats (median). The losses of both: tau {tau(*losses):.3f}, "
        f"Spearman {spearman(*losses):.3f}.",
        "",
        "| score | tau, trained | tau, frozen | trained minus frozen |",
        "|---|---|---|---|",
    ]
    for score in first[0]:
        if score in FACTS:
            continue
        kept = [i for i, row in enumerate(first) if row[score] != "" and second[i][score] != ""]
        if len(kept) < 3:
            continue
        sides = [
            (_column([rows[i] for i in kept], score), loss[kept])
            for rows, loss in zip((first, second), losses, strict=True)
        ]
        apart = difference(sides[0], sides[1], draws=draws)
        if not math.isnan(apart.value):
            taus = " | ".join(f"{tau(*side):+.3f}" for side in sides)
            lines.append(f"| {score} | {taus} | {words(apart)} |")
    return "\n".join(lines)


def _column(rows: Rows, name: str) -> FloatArray:
    return np.array([_number(row[name]) for row in rows], dtype=np.float64)


def _number(text: str) -> float:
    return float(text) if text else math.nan
