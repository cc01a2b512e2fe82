"""The proxies: what each measures, and where it applies. Names and formulas; no torch to import."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from vitruvius.spaces.space import Builder, SearchSpace
from vitruvius.tasks.table import TabularTask
from vitruvius.tasks.task import Task

if TYPE_CHECKING:
    from vitruvius.tools.probe import Probe


class Proxy(Protocol):
    """A training-free score: a network and a batch, as a probe, in; a number out.

    It leaves the network, its modes, its device and the global random generator as they were.
    More is meant to be better. NaN and infinity are allowed and mean that the score is degenerate.
    """

    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str:
        """One line: what it measures and where it applies."""
        ...

    @property
    def needs_data(self) -> bool:
        """Whether it looks at examples of the task."""
        ...

    def __call__(self, probe: Probe) -> float:
        """Returns the score.

        Raises:
            DoesNotApply: if it is not defined for this network or without a batch.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Formula:
    """A proxy that is one formula over the probe's passes."""

    name: str
    description: str
    needs_data: bool
    formula: Callable[[Probe], float]

    def __call__(self, probe: Probe) -> float:
        return self.formula(probe)


def _naswot(probe: Probe) -> float:
    """Log-determinant of the kernel of Hamming similarities between activation codes.

    Mellor et al. 2021, arXiv:2006.04647, eq. 2. Two examples with equal codes make it singular,
    and the score minus infinity.
    """
    import torch

    codes = probe.codes  # [B, units]
    kernel = codes @ codes.T + (1 - codes) @ (1 - codes).T  # [B, B]: units on which two agree
    eigenvalues = torch.linalg.eigvalsh(kernel)  # rising
    rounding = len(kernel) * torch.finfo(kernel.dtype).eps * float(eigenvalues[-1])
    return float(eigenvalues.log().sum()) if eigenvalues[0] > rounding else -math.inf


def _synflow(probe: Probe) -> float:
    """Natural logarithm of the summed |weight x gradient|.

    The sum grows exponentially with depth; in float64 it stays finite up to about exp(709).
    """
    total = sum(float((weight * gradient).abs().sum()) for weight, gradient in probe.flow)
    return math.log(total) if total > 0 else -math.inf


def _grad_norm(probe: Probe) -> float:
    """Sum over layers of the Euclidean norm of the weight's gradient."""
    return sum(float(gradient.norm()) for _, gradient in probe.gradients)


def _snip(probe: Probe) -> float:
    """Sum of |weight x gradient|: Lee et al. 2019, arXiv:1810.02340, eq. 4."""
    return sum(float((weight * gradient).abs().sum()) for weight, gradient in probe.gradients)


PROXIES: dict[str, Proxy] = {
    proxy.name: proxy
    for proxy in (
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
            name="naswot",
            description="how differently examples switch the activations on; networks with ReLU "
            "and its kin",
            needs_data=True,
            formula=_naswot,
        ),
        Formula(
            name="synflow",
            description="log of the weight products summed over all paths, without data; "
            "feed-forward networks, normalisations left out",
            needs_data=False,
            formula=_synflow,
        ),
        Formula(
            name="grad_norm",
            description="size of the loss gradient at initialisation; convolutions and linear "
            "layers",
            needs_data=True,
            formula=_grad_norm,
        ),
        Formula(
            name="snip",
            description="how much the loss hangs on single weights at initialisation; convolutions "
            "and linear layers",
            needs_data=True,
            formula=_snip,
        ),
    )
}


def proxies_for(space: SearchSpace, task: Task) -> tuple[str, ...]:
    """Returns the names of the proxies that can be computed for a space and a task."""
    if isinstance(task, TabularTask):
        known = tuple(name for name in ("params", "flops") if name in task.cost_names)
        if isinstance(space, Builder) and task.signature is not None:
            return tuple(n for n, p in PROXIES.items() if n in known or not p.needs_data)
        return known
    return tuple(PROXIES) if isinstance(space, Builder) else ()
