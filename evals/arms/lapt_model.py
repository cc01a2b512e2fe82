"""LAPT as published with a language model in its chair, as arms. In no protocol: they need a model.

The model is the one that the settings name, at their endpoint (`VITRUVIUS_MODEL`,
`OPENAI_BASE_URL`, ...): `vitruvius eval lapt_nb201 --arms "lapt nb201 model"`.
"""

from __future__ import annotations

from functools import partial

from vitruvius.agents.model.client import ModelClient
from vitruvius.agents.model.resolving import at_hand, resolve_model
from vitruvius.errors import ConfigError
from vitruvius.evals.arms.lapt import NB201, TRANSNAS, Script, lapt
from vitruvius.evals.arms.lapt_chair import LaptChair
from vitruvius.evals.arms.registry import Arm, Given
from vitruvius.settings import load_settings

SEEDS = 5  # as published


def with_model(script: Script, given: Given) -> None:
    """Searches as the script does, asking the model of the settings.

    Raises:
        ConfigError: the settings name no model.
    """
    settings = load_settings()
    with at_hand(resolve_model(settings), settings) as resolved:
        if resolved.endpoint is None:
            raise ConfigError(f"this arm needs a model. {resolved.words}")
        client = ModelClient(resolved.endpoint)
        lapt(script, LaptChair(client=client, space=given.space, most=script.choices), given)


ARMS = (
    Arm(
        name="lapt nb201 model",
        about="LAPT as published for NAS-Bench-201, the settings' model in its chair",
        run=partial(with_model, NB201),
        hears=True,
        needs_model=True,
        most_seeds=SEEDS,
    ),
    Arm(
        name="lapt transnas model",
        about="LAPT as published for TransNAS-Bench-101, the settings' model in its chair",
        run=partial(with_model, TRANSNAS),
        hears=True,
        needs_model=True,
        most_seeds=SEEDS,
    ),
)
