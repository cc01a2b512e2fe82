"""What the page on notebooks names exists."""

import re

from notebooks.kernels import ROOT

import vitruvius as vt
from vitruvius.notebook.shown import Plots

PAGE = (ROOT / "docs/notebook.md").read_text(encoding="utf-8")


def test_every_call_on_the_page_exists() -> None:
    of_runs = set(re.findall(r"\b(?:run|other)\.(\w+)", PAGE))
    assert {"wait", "stop", "plot", "principle", "steer"} <= of_runs
    assert not [name for name in of_runs if not hasattr(vt.SearchRun, name)]
    plots = set(re.findall(r"run\.plot\.(\w+)", PAGE))
    assert plots == {name for name in vars(Plots) if not name.startswith("_")} - {"run"}


def test_pictures_and_files_that_the_page_shows_are_there() -> None:
    linked = re.findall(r"\]\(([^)]+)\)", PAGE)
    assert linked
    assert all((ROOT / "docs" / name).is_file() for name in linked)
    assert all((ROOT / "docs" / n).stat().st_size < 200_000 for n in linked if n.endswith("png"))
