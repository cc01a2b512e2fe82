"""Sizes: the baselines that a score has to beat."""

from __future__ import annotations

from vitruvius.tools.proxies.formula import Formula

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
