"""The options of a task's reference, read one by one and checked."""

from __future__ import annotations

import difflib
from dataclasses import replace
from pathlib import Path

from vitruvius.errors import ConfigError
from vitruvius.tasks.task import Constraints, Recipe


class Options:
    """The options of a reference, taken one by one; `done` refuses those left over."""

    def __init__(self, name: str, options: dict[str, str]) -> None:
        self.name = name
        self.given = options
        self.left = dict(options)
        self.allowed: list[str] = []

    def text(self, key: str, default: str | None = None) -> str | None:
        self.allowed.append(key)
        return self.left.pop(key, default)

    def one_of(self, key: str, choices: tuple[str, ...], default: str | None) -> str | None:
        value = self.text(key, default)
        if value is not None and value not in choices:
            raise ConfigError(
                f"option {key} of {self.name} must be one of {', '.join(choices)}, got {value!r}"
            )
        return value

    def whole(self, key: str) -> int | None:
        """Returns a whole number of at least 1 (`4000`, `4_000`, `1e6`), or None if not given."""
        value = self.text(key)
        if value is None:
            return None
        try:
            number = float(value)
            whole = int(number)
        except (ValueError, OverflowError):
            number, whole = 0.5, 0
        if whole != number or whole < 1:
            raise ConfigError(
                f"option {key} of {self.name} must be a whole number of at least 1, got {value!r}"
            )
        return whole

    def positive(self, key: str) -> float | None:
        value = self.text(key)
        if value is None:
            return None
        try:
            number = float(value)
        except ValueError:
            number = 0.0
        if not 0.0 < number < float("inf"):
            raise ConfigError(f"option {key} of {self.name} must be above 0, got {value!r}")
        return number

    def path(self) -> Path:
        value = self.text("path")
        if not value:
            raise ConfigError(f"{self.name} needs a path: {self.name}:PATH")
        return Path(value).expanduser().resolve()

    def recipe(self, usual: Recipe | None = None) -> Recipe:
        """Returns the usual recipe with what is given of it: epochs, batch, lr."""
        usual = usual or Recipe()
        return replace(
            usual,
            epochs=self.whole("epochs") or usual.epochs,
            batch_size=self.whole("batch") or usual.batch_size,
            learning_rate=self.positive("lr") or usual.learning_rate,
        )

    def constraints(self, *, any_cost: bool = False) -> Constraints:
        """Returns the limits `max_params` and `max_flops`, or `params` and `flops` for short.

        With `any_cost`, every `max_NAME` limits the cost of that name.
        """
        params, flops = self._limit("params"), self._limit("flops")
        names = [key for key in self.left if key.startswith("max_")] if any_cost else []
        caps = [(key.removeprefix("max_"), self.positive(key)) for key in sorted(names)]
        if any_cost and not names:
            self.allowed.append("max_COST")
        found = tuple((name, limit) for name, limit in caps if name and limit is not None)
        return Constraints(params=params, flops=flops, caps=found)

    def _limit(self, name: str) -> int | None:
        short, long = self.whole(name), self.whole(f"max_{name}")
        if short is not None and long is not None:
            raise ConfigError(f"{self.name} is given {name} and max_{name}: they are the same")
        return long if short is None else short

    def done(self) -> None:
        for key in self.left:
            near = difflib.get_close_matches(key, self.allowed, n=1)
            raise ConfigError(
                f"{self.name} has no option {key!r}; "
                + (f"did you mean {near[0]!r}? Options" if near else "options")
                + f": {', '.join(self.allowed)}"
            )
