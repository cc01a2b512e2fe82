"""The colours of every picture: told apart by the colour-blind, on light paper and on dark.

They are those of Okabe and Ito (2008, Color Universal Design), made darker or lighter until each
stands out from its paper by 3 to 1, as WCAG 2.1 asks of graphics (criterion 1.4.11); text by 4.5.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, kw_only=True)
class Palette:
    """Colours as `#rrggbb`. Each is used for one thing in a picture, and never without a shape."""

    paper: str
    ink: str  # text that is read
    muted: str  # text that is looked up: axes, notes
    grid: str
    blue: str  # the search
    red: str  # the random arm; contradicted
    green: str  # supported
    amber: str  # weakened
    grey: str  # random search; not known
    purple: str  # the best

    def variables(self) -> str:
        """Returns the colours as CSS: `--paper: #ffffff; ...`."""
        return " ".join(f"--{name}: {colour};" for name, colour in asdict(self).items())


LIGHT = Palette(
    paper="#ffffff",
    ink="#1b1f24",
    muted="#57606a",
    grid="#dfe3e8",
    blue="#0072b2",
    red="#c44e00",
    green="#00805e",
    amber="#a87500",
    grey="#7d8590",
    purple="#a3387a",
)
DARK = Palette(
    paper="#14181d",
    ink="#eceff3",
    muted="#a3acb6",
    grid="#2c333b",
    blue="#56b4e9",
    red="#ff8a4c",
    green="#2fc79a",
    amber="#f0c14b",
    grey="#8a939e",
    purple="#e58bc3",
)


def luminance(colour: str) -> float:
    """Returns the relative luminance of `#rrggbb`, from 0 to 1 (WCAG 2.1).

    Example:
        >>> luminance("#ffffff"), luminance("#000000")
        (1.0, 0.0)
    """
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def palette_for(paper: str) -> Palette:
    """Returns the palette that can be read on a paper of this colour.

    Example:
        >>> palette_for("#000000") is DARK
        True
    """
    return DARK if luminance(paper) < 0.2 else LIGHT
