"""All arms by name. A family of arms is a module here that lists them as `ARMS`."""

from __future__ import annotations

from vitruvius.errors import ConfigError
from vitruvius.evals.arms import (
    agent,
    blind,
    chairs,
    controls,
    fidelity,
    lapt,
    lapt_chair,
    latency,
    optuna,
)
from vitruvius.evals.arms.arm import Arm

FAMILIES = (agent, chairs, blind, controls, lapt, lapt_chair, optuna, fidelity, latency)
ARMS: dict[str, Arm] = {arm.name: arm for family in FAMILIES for arm in family.ARMS}


def find_arm(name: str) -> Arm:
    """Returns an arm.

    Raises:
        ConfigError: if there is none of that name.
    """
    if name not in ARMS:
        raise ConfigError(f"there is no arm {name!r}; there are {', '.join(ARMS)}")
    return ARMS[name]
