"""What a picture of an architecture shows: nodes with words, edges that may have words too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from vitruvius.tools.safe_text import clean

MOST_CHARACTERS = 28  # of a line of words


class Hue(StrEnum):
    """What a part does; each is drawn in one colour, and its words say it too."""

    PLAIN = "ink"
    WEIGHTS = "blue"  # linear layers and convolutions
    MIXING = "purple"  # attention, gates
    SHAPING = "green"  # activations, normalisation
    POOLING = "amber"
    PASSING = "grey"  # identities and sums


@dataclass(frozen=True, kw_only=True)
class Node:
    """One part. `is_end` marks inputs and outputs, `is_dot` a small mark without a box."""

    name: str  # unique in its graph
    lines: tuple[str, ...]
    hue: Hue = Hue.PLAIN
    is_end: bool = False
    is_dot: bool = False


@dataclass(frozen=True, kw_only=True)
class Edge:
    """From one node to a later one; `label` is the operation on the way, empty for none."""

    start: str
    end: str
    label: str = ""
    hue: Hue = Hue.PLAIN
    is_dashed: bool = False


@dataclass(frozen=True, kw_only=True)
class Graph:
    """A picture without places: nodes in any order, edges without a circle."""

    nodes: Sequence[Node]
    edges: Sequence[Edge]


def short(text: str) -> str:
    """Returns a line of words that fits into a box.

    Example:
        >>> short("nor_conv_3x3")
        'nor_conv_3x3'
    """
    return clean(text, MOST_CHARACTERS)
