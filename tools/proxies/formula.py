"""What a proxy is: a name, what it needs, and one formula over a probe's passes. No torch here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, get_args

from vitruvius.spaces.space import NetworkKind

if TYPE_CHECKING:
    from vitruvius.tools.passes.probe import Passes, Probe


ANY_KIND: frozenset[NetworkKind] = frozenset(get_args(NetworkKind))


class Proxy(Protocol):
    """A training-free score: a network and a batch, as a probe, in; a number out.

    It leaves the network, its modes, its device and the global random generator as they were.
    More is meant to be better. NaN, infinity and numbers beyond `scoring.LARGEST` are allowed and
    mean that the score is degenerate: such an architecture ranks below all others.
    """

    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str:
        """One line: what it measures, and of which networks in words."""
        ...

    @property
    def needs_data(self) -> bool:
        """Whether it looks at examples of the task."""
        ...

    @property
    def applies_to(self) -> frozenset[NetworkKind]:
        """The kinds of networks that it can say something of; of others it is not asked."""
        ...

    def __call__(self, probe: Probe) -> float:
        """Returns the score.

        Raises:
            DoesNotApply: if it is not defined for this network or without a batch.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Formula:
    """A proxy that is one formula over the probe's passes.

    `passes` says which of them it looks at, `layer` which hidden states, so that a probe that is
    told beforehand makes each once. `needs_labels` is read only where it `needs_data`.
    """

    name: str
    description: str
    needs_data: bool
    formula: Callable[[Probe], float]
    applies_to: frozenset[NetworkKind] = ANY_KIND
    needs_labels: bool = False
    passes: tuple[Passes, ...] = ()
    layer: int = 0

    def __call__(self, probe: Probe) -> float:
        return self.formula(probe)
