"""Budgets: limits of a run, and how people write them (`60 trials, 8h, 2M tokens, $5`)."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from decimal import Decimal

from vitruvius.errors import ConfigError

_SECONDS = {
    "s": 1, "sec": 1, "second": 1, "seconds": 1,
    "m": 60, "min": 60, "minute": 60, "minutes": 60,
    "h": 3600, "hour": 3600, "hours": 3600,
    "d": 86400, "day": 86400, "days": 86400,
}  # fmt: skip
_TIMES = {"": 1, "k": 1_000, "K": 1_000, "M": 1_000_000}
_NUMBER = r"(?P<number>[0-9][0-9_]*(?:\.[0-9]+)?)"
_COUNT = re.compile(_NUMBER + r"\s*(?P<times>[kKM]?)\s*(?P<unit>trials?|tokens?)")
_TIME = re.compile(_NUMBER + r"\s*(?P<unit>[a-z]+)")
_TRAINING = re.compile(r"(?P<time>.*\S)\s+of training")
_MONEY = re.compile(
    r"\$\s*" + _NUMBER + "|" + _NUMBER.replace("number", "named") + r"\s*(?:dollars?|USD)"
)
_MOST = 10**15
_EXAMPLE = "write it like '60 trials, 8h, 2M tokens, $5'"


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Limits of one run; None means no limit. One account for all of them."""

    trials: int | None = None
    wall_s: float | None = None
    train_s: float | None = None  # of the trainings themselves: simulated seconds for a table
    tokens: int | None = None
    dollars: float | None = None


def parse_budget(text: str) -> Budget:
    """Returns the budget that a text such as `60 trials, 1h 30min` names.

    Limits are separated by commas; each kind (trials, time, training, tokens, dollars) at most
    once. Time takes s, min (or m), h and d, alone or together; trials and tokens take k and M.
    `20h of training` limits the seconds that the trainings take, in a table those recorded.

    Raises:
        ConfigError: a part that is no limit, a kind named twice, a limit that is not positive.
    """
    limits: dict[str, Decimal] = {}  # by floats 1.1h would be 3960.0000000000005 s
    for part in text.split(","):
        kind, amount = _limit(part.strip(), text)
        if kind in limits:
            raise ConfigError(f"budget {text!r} limits {kind} twice; name each kind once")
        limits[kind] = amount
    trials, time = limits.get("trials"), limits.get("time")
    training = limits.get("training")
    tokens, dollars = limits.get("tokens"), limits.get("dollars")
    return Budget(
        trials=None if trials is None else int(trials),
        wall_s=None if time is None else float(time),
        train_s=None if training is None else float(training),
        tokens=None if tokens is None else int(tokens),
        dollars=None if dollars is None else float(dollars),
    )


def _limit(part: str, text: str) -> tuple[str, Decimal]:
    if match := _COUNT.fullmatch(part):
        kind = "trials" if match["unit"].startswith("trial") else "tokens"
        amount = _number(match["number"]) * _TIMES[match["times"]]
        if amount != amount.to_integral_value():
            raise ConfigError(f"budget {text!r}: {part!r} is no whole number of {kind}")
    elif match := _MONEY.fullmatch(part):
        kind, amount = "dollars", _number(match["number"] or match["named"])
    elif match := _TRAINING.fullmatch(part):
        kind, amount = "training", _seconds(match["time"], text)
    else:
        kind, amount = "time", _seconds(part, text)
    if not 0 < float(amount) <= _MOST:
        raise ConfigError(f"budget {text!r}: {part!r} must lie above 0 and be at most {_MOST:g}")
    return kind, amount


def _seconds(part: str, text: str) -> Decimal:
    total, end = Decimal(0), 0
    for match in _TIME.finditer(part):
        if part[end : match.start()].strip() or match["unit"] not in _SECONDS:
            break
        total += _number(match["number"]) * _SECONDS[match["unit"]]
        end = match.end()
    if not part or end != len(part):
        raise ConfigError(f"budget {text!r}: cannot read {part!r}; {_EXAMPLE}")
    return total


def _number(text: str) -> Decimal:
    return Decimal(text.replace("_", ""))


def budget_text(budget: Budget) -> str:
    """Returns a text that `parse_budget` reads back, or `no limit`."""
    parts = []
    if budget.trials is not None:
        parts.append(f"{budget.trials} trial{'' if budget.trials == 1 else 's'}")
    if budget.wall_s is not None:
        parts.append(_time_text(budget.wall_s))
    if budget.train_s is not None:
        parts.append(f"{_time_text(budget.train_s)} of training")
    if budget.tokens is not None:
        parts.append(f"{budget.tokens} tokens")
    if budget.dollars is not None:
        parts.append(f"${_plain(budget.dollars)}")
    return ", ".join(parts) or "no limit"


def _time_text(seconds: float) -> str:
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{int(seconds // size)}{unit}"
    return f"{_plain(seconds)}s"


def _plain(number: float) -> str:
    return f"{number:.12f}".rstrip("0").rstrip(".")


def has_end(budget: Budget) -> bool:
    """Returns whether the budget runs out whatever a model spends."""
    limits = (budget.trials, budget.wall_s, budget.train_s)
    return any(limit is not None for limit in limits)


def check_bounded(budget: Budget, *, spends_tokens: bool) -> None:
    """Checks that the budget can run out.

    Raises:
        ConfigError: no limit at all, one that is not above 0, or only tokens and dollars where no
            model spends any.
    """
    for name, limit in asdict(budget).items():
        if limit is not None and not 0 < limit <= _MOST:
            raise ConfigError(
                f"a budget's {name} must lie above 0 and be at most {_MOST:g}, got {limit!r}"
            )
    if has_end(budget):
        return
    if budget.tokens is None and budget.dollars is None:
        raise ConfigError(f"a budget needs a limit; {_EXAMPLE}")
    if not spends_tokens:
        raise ConfigError(
            f"the analyst spends no tokens, so budget {budget_text(budget)!r} never runs out; "
            "add trials or hours"
        )
