"""Scores of how differently examples switch the activations on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from vitruvius.tools.proxies.formula import Formula

if TYPE_CHECKING:
    from vitruvius.spaces.space import FloatArray
    from vitruvius.tools.passes.hooks import Call
    from vitruvius.tools.passes.probe import Probe


def naswot(probe: Probe) -> float:
    """Log-determinant of the kernel of Hamming similarities between activation codes.

    Mellor et al. 2021, arXiv:2006.04647, eq. 2: over rectifiers only. Published direction: higher.
    Two examples with equal codes make it singular, and the score minus infinity.
    """
    from vitruvius.tools.passes.copies import RECTIFIERS

    calls = [c for c in probe.record.activations if isinstance(c.module, RECTIFIERS)]
    return _log_determinant(_kernel(probe, calls, "rectifying activations (ReLU and its kin)"))


def activation_distance(probe: Probe) -> float:
    """The same over every activation; a unit is on where its input is above 0.

    Serianni & Kalita 2023, arXiv:2306.00288, sec. 3, sum the kernel over layers and steps of a
    recurrent network. Published direction: higher.
    """
    return _log_determinant(_kernel(probe, probe.record.activations, "activations"))


def activation_distance_published(probe: Probe) -> float:
    """The same with units on where their output is above 0, so that sigmoids are always on.

    As stored by aaronserianni/training-free-nas for recurrent networks. Its released code, and the
    file of its ablations, sum two equal passes, which adds B ln 2. Published direction: higher.
    """
    calls = probe.record.activations
    return _log_determinant(_kernel(probe, calls, "activations", published=True))


def token_activation_distance_published(probe: Probe) -> float:
    """Sum over feed-forward activations of agreements between the first sequence's tokens.

    As in aaronserianni/training-free-nas for transformers: all entries of the kernel, no
    determinant, so that it is a similarity. A head for words takes no part: theirs have none.
    Published direction: higher.
    """
    from vitruvius.tools.passes.hooks import token_agreements

    return token_agreements(_token_calls(probe))


def token_activation_distance_published_mean(probe: Probe) -> float:
    """The same divided by the number of activations summed."""
    return token_activation_distance_published(probe) / len(_token_calls(probe))


def _token_calls(probe: Probe) -> list[Call]:
    from vitruvius.tools.passes.copies import DoesNotApply

    calls = [c for c in probe.record.activations if getattr(c.module, "part", "") == "feed_forward"]
    if not calls:
        raise DoesNotApply("it needs a transformer that announces its feed-forward activations")
    return calls


def _kernel(probe: Probe, calls: list[Call], needed: str, *, published: bool = False) -> FloatArray:
    from vitruvius.tools.passes.copies import DoesNotApply
    from vitruvius.tools.passes.hooks import agreements

    if not calls:
        raise DoesNotApply(f"it needs {needed}")
    return agreements(calls, len(probe.inputs), published=published)


def _log_determinant(kernel: FloatArray) -> float:
    import numpy as np

    eigenvalues = np.linalg.eigvalsh(kernel)  # rising
    rounding = len(kernel) * np.finfo(float).eps * eigenvalues[-1]
    return float(np.log(eigenvalues).sum()) if eigenvalues[0] > rounding else -math.inf


ACTIVATION_SCORES = (
    Formula(
        name="naswot",
        description="how differently examples switch the activations on; networks with ReLU "
        "and its kin",
        needs_data=True,
        passes=("graph",),
        formula=naswot,
    ),
    Formula(
        name="activation_distance",
        description="how differently examples switch the activations on, tanh and sigmoid included",
        needs_data=True,
        passes=("graph",),
        formula=activation_distance,
    ),
    Formula(
        name="activation_distance_published",
        description="the same as published for recurrent networks, sigmoids always on",
        needs_data=True,
        passes=("graph",),
        formula=activation_distance_published,
    ),
    Formula(
        name="token_activation_distance_published",
        description="agreements between the tokens of one sequence, as published; transformers",
        needs_data=True,
        applies_to=frozenset({"transformer"}),
        passes=("graph",),
        formula=token_activation_distance_published,
    ),
    Formula(
        name="token_activation_distance_published_mean",
        description="the same, by the number of activations; transformers",
        needs_data=True,
        applies_to=frozenset({"transformer"}),
        passes=("graph",),
        formula=token_activation_distance_published_mean,
    ),
)
