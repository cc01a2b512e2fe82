"""Scores that look at no data: sizes, and passes over absolute weights and random inputs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from vitruvius.tools.proxies.formula import Formula

if TYPE_CHECKING:
    from vitruvius.tools.passes.probe import Probe


SIZES = (
    Formula(
        name="params",
        description="number of parameters; any network; the baseline to beat",
        needs_data=False,
        formula=lambda probe: float(probe.params),
    ),
    Formula(
        name="flops",
        description="multiply-adds of convolutions and linear layers for one example",
        needs_data=False,
        formula=lambda probe: float(probe.flops),
    ),
    Formula(
        name="depth",
        description="weighted layers on the longest path from input to output; any network",
        needs_data=False,
        formula=lambda probe: float(probe.depth),
    ),
)


def synflow(probe: Probe) -> float:
    """Natural logarithm of the summed |weight x gradient| of `Probe.flow`.

    Tanaka et al. 2020, arXiv:2006.05467, eq. 2; published direction: higher. The sum grows
    exponentially with depth; in float64 it stays finite up to about exp(709).
    """
    total = sum(float((weight * gradient).abs().sum()) for weight, gradient in probe.flow)
    return math.log(total) if total > 0 else -math.inf


def zen(probe: Probe) -> float:
    """Logarithm of how far a small random change of random inputs moves the last feature maps.

    Plus that of what batch normalisation has taken away on the way: Lin et al. 2021,
    arXiv:2102.01063, alg. 1. Published direction: higher. One draw of 64 examples; residual
    connections stay, where their code builds plain networks without.
    """
    change, taken_away = probe.zen
    return change + taken_away


FLOW_SCORES = (
    Formula(
        name="synflow",
        description="log of the weight products summed over all paths, without data; "
        "feed-forward networks, normalisations left out",
        needs_data=False,
        formula=synflow,
    ),
    Formula(
        name="zen",
        description="how far small changes of random inputs move the features, without data; "
        "networks of convolutions",
        needs_data=False,
        formula=zen,
    ),
)
