"""The example notebook runs through a real kernel, and is kept without its outputs."""

import json
from pathlib import Path

import pytest
from notebooks.kernels import ROOT, kernel

from vitruvius.tools.safe_text import clean

TOUR = ROOT / "docs/examples/tour.ipynb"


def cells() -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(TOUR.read_text(encoding="utf-8"))["cells"]
    return found


def test_the_tour_is_kept_without_outputs() -> None:
    code = [cell for cell in cells() if cell["cell_type"] == "code"]
    assert len(code) > 10
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_cell_of_the_tour_runs_and_shows_what_it_promises(tmp_path: Path) -> None:
    shown = {}
    with kernel(tmp_path, VITRUVIUS_HOME=str(tmp_path / "home"), VITRUVIUS_MODEL="analyst") as it:
        for cell in cells():
            source = "".join(cell["source"])  # type: ignore[arg-type]
            if cell["cell_type"] == "code":
                told = it.run(source)
                assert told.error is None, f"{source}\n{told.text}"
                shown[source] = told
    kinds = [set().union(*map(set, told.shown)) for told in shown.values()]
    assert sum("image/png" in kind for kind in kinds) == 4  # the plots
    assert sum("text/html" in kind for kind in kinds) >= 9  # panels, cards and frames
    (frame,) = [told for source, told in shown.items() if source.startswith("mine = ")]
    assert "by</th>" in frame.shown[0]["text/html"]
    assert "tanh" in clean(frame.shown[0]["text/plain"])
    assert not (tmp_path / "home").exists()  # the tour leaves the reader's own home alone
