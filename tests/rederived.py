"""Every number of a page, derived again from the rows: SQL and plain loops, no report code.

The model of a run (its Gaussian process) is the library's own, tested with it; what is read off it
is computed here by other means.
"""

import json
import math
import sqlite3
from collections import defaultdict
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from vitruvius.memory.evidence.calibration import proxy_weights
from vitruvius.memory.evidence.contrasts import describe_population
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.model.gaussian_process import Surrogate
from vitruvius.memory.model.proxy_scores import board_of
from vitruvius.memory.model.ranking import learn
from vitruvius.spaces.rules import Rule, holds
from vitruvius.spaces.space import Architecture, SearchSpace, reference_features
from vitruvius.tasks.task import Metric

Numbers = dict[tuple[str, str], float]
AGENT, UNIFORM = ("explore", "architect", "repeat"), ("explore", "control")
WORST = ("diverged", "out_of_memory", "timeout")
JSON = ("rule", "supporting", "contradicting", "parents")


class Rows:
    """The rows of one run as dictionaries."""

    def __init__(self, home: Path, run_id: str) -> None:
        self.home, self.run_id = home, run_id
        self.run = self._all("SELECT * FROM runs WHERE id = ?", run_id)[0]
        self.trials = self._all(
            "SELECT t.*, r.architecture, r.fidelity, r.seed, r.status, r.value, r.test, r.train_s,"
            " r.params, r.flops FROM trials t JOIN results r ON r.id = t.result_id"
            " WHERE t.run_id = ? ORDER BY t.number",
            run_id,
        )
        self.steps = {
            row["id"]: row["step"]
            for row in self._all("SELECT id, step FROM decisions WHERE run_id = ?", run_id)
        }
        self.cuts = self._all("SELECT * FROM cuts WHERE run_id = ? ORDER BY number", run_id)
        self.evidence = self._all(
            "SELECT * FROM evidence WHERE run_id = ? ORDER BY up_to, principle, version", run_id
        )
        self.versions = self._all("SELECT * FROM versions ORDER BY principle, version")
        self.calls = self._all("SELECT * FROM calls WHERE run_id = ?", run_id)
        self.scores = self._all(
            "SELECT * FROM scores WHERE space_id = ? AND task_id = ?",
            self.run["space_id"], self.run["task_id"],
        )  # fmt: skip

    def _all(self, query: str, *values: str) -> list[dict[str, Any]]:
        with closing(sqlite3.connect(self.home / "ledger.db")) as base:
            base.row_factory = sqlite3.Row
            rows = [dict(row) for row in base.execute(query, values)]
        for row in rows:
            row.update({k: json.loads(row[k]) for k in JSON if isinstance(row.get(k), str)})
        return rows


def derived(home: Path, run_id: str, space: SearchSpace, metric: Metric) -> Numbers:
    """Returns what a page of the run should say, by fact and key."""
    rows = Rows(home, run_id)
    found: Numbers = {("trials", ""): len(rows.trials)}
    answer = _answer(rows, metric, found)
    _baseline(rows, metric, answer, found)
    _curve(rows, metric, found)
    _principles(rows, found)
    _cuts(rows, space, metric, found)
    _account(rows, found)
    with Ledger.open(home) as ledger:
        chosen = [t for t in ledger.trials.of(run_id) if t.origin not in ("control", "confirm")]
    lesson = learn(chosen, metric)
    _model(rows, space, metric, lesson, found)
    _proxies(rows, space, metric, lesson, found)
    return found


def _pooled(groups: list[list[float]]) -> list[tuple[float, float | None]]:
    freedom = sum(max(0, len(g) - 1) for g in groups)
    squares = sum(sum((v - np.mean(g)) ** 2 for v in g) for g in groups if g)
    made: list[tuple[float, float | None]] = []
    for group in groups:
        half = None
        if freedom:
            half = stats.t.ppf(0.975, freedom) * math.sqrt(squares / freedom / len(group))
        made.append((float(np.mean(group)), half))
    return made


def _answer(rows: Rows, metric: Metric, found: Numbers) -> dict[str, Any]:
    kinds: dict[str, dict[str, list[dict[str, Any]]]] = {k: defaultdict(list) for k in "sf"}
    for t in rows.trials:
        if t["value"] is not None and t["origin"] != "control":
            kinds["f" if t["origin"] == "confirm" else "s"][t["architecture"]].append(t)
    judged = kinds["f"] or kinds["s"]
    order = sorted(
        judged, key=lambda a: -metric.sign * float(np.mean([t["value"] for t in judged[a]]))
    )
    order = order if kinds["f"] else order[:3]
    seen = {a: (kinds["s"].get(a) or judged[a])[0] for a in order}
    columns = [
        ("search", [kinds["s"].get(a, []) for a in order], "value"),
        ("confirmed", [kinds["f"].get(a, []) for a in order], "value"),
        ("test", [[t for t in judged[a] if t["test"] is not None] for a in order], "test"),
    ]
    for name, groups, what in columns:
        values = [[t[what] for t in group] for group in groups]
        full = [v for v in values if v]
        for a, (mean, half) in zip([a for a, v in zip(order, values) if v], _pooled(full)):  # noqa: B905
            key = f"T{seen[a]['number']}"
            _estimate(found, f"finalist.{name}", key, mean, half)
            is_judge = name == ("confirmed" if kinds["f"] else "search")
            if a == order[0] and is_judge:
                found["best.value", ""] = mean
                if half is not None:
                    found["best.low", ""], found["best.high", ""] = mean - half, mean + half
            if a == order[0] and name == "test":
                _estimate(found, "best.test", "", mean, half)
    first = seen[order[0]]
    found["best.found", ""] = first["value"]
    for name in ("params", "flops"):
        if first[name] is not None:
            found[f"best.{name}", ""] = first[name]
    groups_: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
    for t in rows.trials:
        if t["value"] is not None:
            groups_[t["architecture"], t["fidelity"]].setdefault(t["seed"], t["value"])
    many = [list(g.values()) for g in groups_.values() if len(g) > 1]
    if many:
        freedom = sum(len(g) - 1 for g in many)
        found["noise", ""] = math.sqrt(sum(np.var(g) * len(g) for g in many) / freedom)
    return {"architecture": order[0], "seeds": len(judged[order[0]]), "trial": first,
            "freedom": sum(len(g) - 1 for g in many)}  # fmt: skip


def _estimate(found: Numbers, fact: str, key: str, mean: float, half: float | None) -> None:
    found[fact, key] = mean
    if half is not None:
        found[f"{fact}.low", key], found[f"{fact}.high", key] = mean - half, mean + half


def _baseline(rows: Rows, metric: Metric, answer: dict[str, Any], found: Numbers) -> None:
    arm = [t for t in rows.trials if t["origin"] == "control"]
    drawn = arm or [t for t in rows.trials if t["origin"] in UNIFORM]
    done = [t for t in drawn if t["value"] is not None]
    done.sort(key=lambda t: (-metric.sign * t["value"], t["number"]))
    if not done:
        return
    one = done[0]
    if one["architecture"] == answer["architecture"]:
        one = done[len(done) // 2]
    if one["architecture"] == answer["architecture"]:
        return
    found["baseline.value", ""] = one["value"]
    found["baseline.gap", ""] = metric.sign * (found["best.value", ""] - one["value"])
    if one["params"] is not None:
        found["baseline.params", ""] = one["params"]
    if ("noise", "") in found:
        spread = found["noise", ""] * math.sqrt(1 + 1 / answer["seeds"])
        found["baseline.half", ""] = stats.t.ppf(0.975, answer["freedom"]) * spread


def _curve(rows: Rows, metric: Metric, found: Numbers) -> None:
    sign = metric.sign
    closed = [t for t in rows.trials if t["status"] not in ("pending", "running")]
    agent = [t for t in closed if t["origin"] in AGENT]
    arm = [t for t in closed if t["origin"] == "control"]
    uniform = sorted(
        sign * t["value"] if t["value"] is not None else -math.inf
        for t in closed
        if t["origin"] in UNIFORM
    )
    steps = sorted({len(agent), *(2**i for i in range(20) if 2**i < len(agent))})
    best = -math.inf
    for n in steps:
        for name, mine in (("agent", agent), ("control", arm)):
            values = [sign * t["value"] for t in mine[:n] if t["value"] is not None]
            if values and (name == "agent" or n <= len(arm)):
                found[f"curve.{name}", str(n)] = sign * max(values)
        best = found.get(("curve.agent", str(n)), -math.inf)
        place = (len(uniform) + 1 / 3) * 0.5 ** (1 / n) + 1 / 3
        if 1 <= place <= len(uniform):
            low, share = uniform[int(place) - 1], place - int(place)
            middle = low if share == 0 else (1 - share) * low + share * uniform[int(place)]
            if math.isfinite(middle):
                found["curve.random", str(n)] = sign * middle
    hits = sum(value >= sign * best for value in uniform)
    if uniform:
        found["curve.share_high", ""] = (
            1.0
            if hits == len(uniform)
            else float(stats.beta.ppf(0.95, hits + 1, len(uniform) - hits))
        )


def _principles(rows: Rows, found: Numbers) -> None:
    newest = {v["principle"]: v for v in rows.versions}
    names = {p: f"P{p}.{v['version']}" for p, v in newest.items()}
    for e in rows.evidence:
        found["lineage.effect", f"P{e['principle']}.{e['version']}"] = e["effect"]
    for p, v in newest.items():
        mine = [e for e in rows.evidence if e["principle"] == p]
        if v["edit"] != "retire":
            mine = [e for e in mine if e["version"] == v["version"]]
        if not mine:
            continue
        last = max(mine, key=lambda e: (e["version"], e["up_to"]))
        for name in ("effect", "low", "high", "points", "n_in", "n_out", "kept", "top_loss",
                     "top_loss_high"):  # fmt: skip
            if last[name] is not None:
                found[f"principle.{name}", names[p]] = last[name]


def _cuts(rows: Rows, space: SearchSpace, metric: Metric, found: Numbers) -> None:
    reference = reference_features(space)
    left = np.ones(len(reference), dtype=bool)
    closed = [t for t in rows.trials if t["status"] not in ("pending", "running")]
    for cut in rows.cuts:
        rule, key = Rule.model_validate(cut["rule"]), str(cut["number"])
        inside = holds(rule, space, reference)
        if cut["undone_step"] is None:
            left &= inside
        removed = float((~inside).sum() / len(inside))
        found["cut.removed", key] = removed
        if not cut["provisional"]:
            found["cut.bound", key] = cut["top_loss_high"]
        during = [
            t
            for t in closed
            if t["origin"] == "architect"
            and cut["made_step"] <= rows.steps[t["decision_id"]]
            and (cut["undone_step"] is None or rows.steps[t["decision_id"]] < cut["undone_step"])
        ]
        if during:
            found["cut.during", key] = len(during)
            found["cut.spared", key] = removed * len(during)
            found["cut.spared_s", key] = removed * sum(
                t["train_s"] or 0 for t in during if not t["reused"]
            )
        outside = [
            metric.sign * t["value"]
            for t in closed
            if t["value"] is not None
            and not holds(rule, space, space.featurise([Architecture(t["architecture"])]))[0]
        ]
        if outside:
            found["cut.best_outside", key] = metric.sign * max(outside)
    if rows.cuts:
        found["region_left", ""] = float(left.mean())


def _account(rows: Rows, found: Numbers) -> None:
    for origin in {t["origin"] for t in rows.trials}:
        mine = [t for t in rows.trials if t["origin"] == origin]
        reused = sum(bool(t["reused"]) for t in mine)
        found["account.trials", origin] = len(mine)
        found["account.train_s", origin] = sum(t["train_s"] or 0 for t in mine if not t["reused"])
        if reused:
            found["account.reused", origin] = reused
    found["account.total", ""] = sum(t["train_s"] or 0 for t in rows.trials if not t["reused"])
    found["spent.trials", ""] = len(rows.trials)
    found["spent.wall_s", ""] = rows.run["wall_s"]
    found["spent.tokens", ""] = sum(c["tokens_in"] + c["tokens_out"] for c in rows.calls)
    found["spent.dollars", ""] = sum(c["dollars"] for c in rows.calls)
    for who in {(c["chair"], c["model"]) for c in rows.calls}:
        mine = [c for c in rows.calls if (c["chair"], c["model"]) == who]
        key = ": ".join(who)
        found["model.calls", key] = len(mine)
        found["model.errors", key] = sum(c["error"] is not None for c in mine)
        for name in ("tokens_in", "tokens_out", "dollars", "wall_s"):
            found[f"model.{name}", key] = sum(c[name] for c in mine)
    statuses = [t["status"] for t in rows.trials]
    for kind in {*WORST, "failed", "infeasible", "cancelled"} & set(statuses):
        found["failure", kind] = statuses.count(kind)


def _model(rows: Rows, space: SearchSpace, metric: Metric, lesson: Any, found: Numbers) -> None:
    population = describe_population(space, lesson)
    reference = reference_features(space)
    tried = space.featurise([t.architecture for t in lesson.trials])
    order = np.argsort(population.scores, kind="stable")
    known = [i for i in order.tolist() if lesson.trials[i].value is not None]
    pairs = sorted(
        ((population.scores[i], lesson.trials[i].value) for i in known),
        key=lambda pair: (pair[0], metric.sign * (pair[1] or 0.0)),
    )
    in_unit = np.interp(population.mean, *np.array(pairs).T)
    for column, feature in enumerate(space.features):
        values, mine = reference[:, column], tried[:, column]
        if feature.kind == "bool" or feature.choice is not None:
            has, had = values > 0.5, mine > 0.5
        else:
            middle = float(np.median(values))
            strictly = middle == values.min()
            has = values > middle if strictly else values >= middle
            had = mine > middle if strictly else mine >= middle
        if has.all() or not has.any():
            continue
        effect = population.mean[has].mean() - population.mean[~has].mean()
        draws = population.draws[:, has].mean(axis=1) - population.draws[:, ~has].mean(axis=1)
        half = 1.959963984540054 * float(np.std(draws))
        key = feature.name
        found["effect", key] = float(effect)
        found["effect.low", key], found["effect.high", key] = effect - half, effect + half
        found["effect.points", key] = float(in_unit[has].mean() - in_unit[~has].mean())
        found["effect.n_in", key], found["effect.n_out", key] = had.sum(), (~had).sum()
    draws = population.stretched()
    count = max(1, round(0.01 * draws.shape[1]))
    for cut in rows.cuts:
        inside = holds(Rule.model_validate(cut["rule"]), space, reference)
        losses = [float((~inside)[np.argsort(-draw)[:count]].mean()) for draw in draws]
        found["cut.loss", str(cut["number"])] = float(np.mean(losses))
        found["cut.loss_high", str(cut["number"])] = max(
            float(np.mean(losses)), float(np.quantile(losses, 0.9))
        )
    model = Surrogate.fit(space, tried, population.scores)
    best = float(population.scores.max())
    for architecture in _untried(space, rows, lesson, population):
        there = model.at(space.featurise([Architecture(architecture)]))
        spread = math.hypot(float(there.sd[0]), model.noise_sd)
        chance = float(stats.norm.cdf((float(there.mean[0]) - best) / spread))
        found["promising", architecture] = chance


def _untried(space: SearchSpace, rows: Rows, lesson: Any, population: Any) -> list[str]:
    rng = np.random.default_rng(0)
    tried = {t["architecture"] for t in rows.trials}
    best = lesson.trials[int(np.argmax(population.scores))].architecture
    every = [space.sample(rng) for _ in range(len(population.mean))]
    return [a.text for a in {*every, *space.neighbours(best)} if a.text not in tried]


def _proxies(rows: Rows, space: SearchSpace, metric: Metric, lesson: Any, found: Numbers) -> None:
    results: dict[str, list[float]] = defaultdict(list)
    sizes: dict[str, dict[str, float]] = defaultdict(dict)
    for trial, score in zip(lesson.trials, lesson.scores.tolist(), strict=True):
        results[trial.architecture.text].append(score)
        for name in ("params", "flops"):
            if getattr(trial, name) is not None:
                sizes[name][trial.architecture.text] = getattr(trial, name)
    depth = [i for i, f in enumerate(space.features) if f.name == "depth"]
    for text in results if depth else ():
        sizes["depth"][text] = space.featurise([Architecture(text)])[0, depth[0]]
    for row in rows.scores:
        if row["architecture"] in results:
            value = -math.inf if row["note"].startswith("degenerate") else row["value"]
            sizes[row["proxy"]][row["architecture"]] = value
    weights = _weights(rows, space, lesson)
    for proxy, values in sizes.items():
        both = [a for a in results if a in values]
        outcome = [float(np.mean(results[a])) for a in both]
        said = [values[a] for a in both]
        found["proxy.n", proxy] = len(both)
        flat = len(set(said)) == 1
        _correlated(found, "spearman", proxy, said, outcome, [], flat)
        if proxy not in ("params", "flops", "depth"):
            given = [g for g in ("params", "depth") if g in sizes and set(both) <= set(sizes[g])]
            counted = [[sizes[g][a] for a in both] for g in given]
            if counted:
                _correlated(found, "partial", proxy, said, outcome, counted, flat)
        if proxy in weights:
            found["proxy.weight", proxy] = weights[proxy]


def _correlated(
    found: Numbers, what: str, proxy: str, a: list[float], b: list[float],
    given: list[list[float]], flat: bool,
) -> None:  # fmt: skip
    first, second = (stats.rankdata(v) - (len(v) + 1) / 2 for v in (a, b))
    if given:
        counted = np.stack([stats.rankdata(v) - (len(v) + 1) / 2 for v in given], axis=1)
        first, second = (r - counted @ np.linalg.pinv(counted) @ r for r in (first, second))
    n, lost = len(a), len(given)
    rank = 0.0 if flat else float(first @ second / math.sqrt((first @ first) * (second @ second)))
    low, high = -1.0, 1.0
    if n - lost >= 4 and not flat:
        half = 1.959963984540054 * math.sqrt((1 + rank**2 / 2) / (n - lost - 3))
        low, high = math.tanh(math.atanh(rank) - half), math.tanh(math.atanh(rank) + half)
    found[f"proxy.{what}", proxy] = rank
    found[f"proxy.{what}.low", proxy], found[f"proxy.{what}.high", proxy] = low, high


def _weights(rows: Rows, space: SearchSpace, lesson: Any) -> dict[str, float]:
    with Ledger.open(rows.home) as ledger:
        scores = ledger.scores.of(rows.run["space_id"], rows.run["task_id"], None, None)
    board = board_of(scores)
    return {} if board is None else proxy_weights(space, board, (), lesson)
