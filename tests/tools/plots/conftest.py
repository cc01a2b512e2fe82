"""Axes that no screen needs."""

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure


@pytest.fixture
def ax() -> Axes:
    return Figure(figsize=(6, 4), layout="constrained").add_subplot()
