"""Optuna's samplers over the slots of a space (the extra `evals` installs it)."""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from vitruvius.errors import ConfigError
from vitruvius.evals.arms.arm import Arm, Given
from vitruvius.evals.arms.blind import random_search
from vitruvius.spaces.space import Architecture

if TYPE_CHECKING:
    import optuna

REPEATS = 4  # free repeats of a sampler per query of the budget, then random draws


def optuna_search(sampler: Literal["tpe", "gp"], given: Given) -> None:
    """Asks what the sampler suggests, with its default settings.

    Raises:
        ConfigError: if Optuna is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise ConfigError("this arm needs Optuna: pip install 'vitruvius[evals]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = (
            optuna.samplers.TPESampler(seed=given.seed)
            if sampler == "tpe"
            else optuna.samplers.GPSampler(seed=given.seed, deterministic_objective=True)
        )
        _ask(optuna.create_study(direction="maximize", sampler=made), given)
    random_search(given.space, given.oracle, given.rng())


def _ask(study: optuna.Study, given: Given) -> None:
    space = given.space
    worst = np.inf
    for _ in range(int(given.oracle.queries) * REPEATS):
        trial = study.ask()
        spec = {slot.name: trial.suggest_categorical(slot.name, slot.names) for slot in space.slots}
        value = given.oracle.ask(space.canonical(Architecture.of(spec)))
        worst = min(worst, value) if np.isfinite(value) else worst
        study.tell(trial, value if np.isfinite(value) else (worst if np.isfinite(worst) else 0.0))


ARMS = (
    Arm(name="tpe", about="Optuna's TPE sampler", run=partial(optuna_search, "tpe")),
    Arm(
        name="optuna-gp",
        about="Optuna's GP sampler",
        run=partial(optuna_search, "gp"),
        most_seeds=20,  # 6 s a search
    ),
)
