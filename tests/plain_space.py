"""Spaces that share features and differ in what they take: for rules that travel."""

from vitruvius.spaces.slots import SlotSpace
from vitruvius.spaces.space import Choice, Slot


def plain(
    name: str, widths: tuple[int, ...], kinds: tuple[str, ...] = ("conv", "pool")
) -> SlotSpace:
    """Returns a space with a width, a depth, and three slots of some kinds."""
    slots = [
        Slot(name="width", choices=tuple(Choice(name=str(w), value=w) for w in widths)),
        Slot(name="depth", choices=tuple(Choice(name=str(d), value=d) for d in (1, 2, 3))),
    ]
    operations = tuple(Choice(name=kind, traits={"kind": kind}) for kind in kinds)
    slots += [Slot(name=f"layer_{i}", choices=operations) for i in range(3)]
    return SlotSpace(name, slots, ref="")


NARROW, WIDE = plain("narrow", (8, 16, 24, 32)), plain("wide", (100, 200, 400, 1000))
