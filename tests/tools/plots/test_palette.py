"""Colours can be read on their paper and told apart, by the colour-blind too."""

from dataclasses import asdict
from itertools import combinations

import numpy as np
import pytest

from vitruvius.memory.records import Standing
from vitruvius.tools.plots.effects import MARKS, colour_of
from vitruvius.tools.plots.palette import DARK, LIGHT, Palette, luminance, palette_for

# Machado, Oliveira & Fernandes 2009, table 1, severity 1.0, for linear RGB.
SEEN_BY = {
    "all": np.eye(3),
    "protanopes": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopes": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopes": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
TOGETHER = [  # what stands for different things in one picture
    ("blue", "red"),
    ("blue", "grey"),
    ("red", "grey"),
    ("blue", "purple"),
    ("green", "red"),
    ("green", "amber"),
    ("green", "grey"),
]
palettes = pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])


def linear(colour: str) -> np.ndarray:
    parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of linear sRGB under D65."""
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    x, y, z = np.cbrt(to_xyz @ np.clip(rgb, 0, 1) / [0.9505, 1, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def contrast(first: str, second: str) -> float:
    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@palettes
def test_each_colour_stands_out_from_its_paper(palette: Palette) -> None:
    colours = asdict(palette)
    paper = colours.pop("paper")
    del colours["grid"]
    for name, colour in colours.items():
        assert contrast(colour, paper) >= (4.5 if name in ("ink", "muted") else 3.0), name


@palettes
@pytest.mark.parametrize("who", SEEN_BY)
def test_colours_of_one_picture_are_told_apart_by_all(palette: Palette, who: str) -> None:
    for first, second in TOGETHER:
        a, b = (lab(SEEN_BY[who] @ linear(getattr(palette, name))) for name in (first, second))
        assert np.linalg.norm(a - b) > 12, (first, second)


@palettes
def test_no_two_colours_are_one_so_that_a_theme_can_replace_each(palette: Palette) -> None:
    assert len(set(asdict(palette).values())) == len(asdict(palette))
    assert palette.variables().count("--") == len(asdict(palette))


@palettes
def test_a_standing_is_never_told_by_its_colour_alone(palette: Palette) -> None:
    looks = {standing: (colour_of(standing, palette), MARKS[standing]) for standing in Standing}
    assert all(a[1] != b[1] for a, b in combinations(looks.values(), 2))


def test_the_palette_goes_by_the_paper() -> None:
    assert palette_for(DARK.paper) is DARK
    assert palette_for(LIGHT.paper) is LIGHT
    assert palette_for("#f3f4f6") is LIGHT
