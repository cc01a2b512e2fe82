"""Parameters and FLOPs of NAS-Bench-201 cells in the published networks, counted from the cell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vitruvius.spaces.space import Architecture
from vitruvius.tasks.tables.nas_bench_201 import EXTRA_PARAMS

# Five cells at each of 16, 32 and 64 channels; a convolution has its weights and a batch norm.
_PARAMS = {"nor_conv_1x1": 28_000, "nor_conv_3x3": 243_040}
_PARAMS_BESIDES = 73_306  # stem, reductions and the classifier of CIFAR-10
_FLOPS = {"nor_conv_1x1": 3_932_160, "nor_conv_3x3": 35_389_440}  # of images of 32 x 32
_FLOPS_BESIDES = {"c10": 7_783_050, "c100": 7_788_900, "in16": 1_953_400}


def published_costs(
    metric: str, cells: Sequence[Architecture]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns the parameters and the FLOPs of networks for a data set, `c10`, `c100` or `in16`.

    Every operation that is written counts, whether or not it reaches the output, as in the
    benchmark. The counts agree with the columns of all 15,625 rows to the last digit.
    """
    params = [_PARAMS_BESIDES + EXTRA_PARAMS[metric] + _total(cell, _PARAMS) for cell in cells]
    quarter = 4 if metric == "in16" else 1  # its images are 16 x 16
    flops = [_FLOPS_BESIDES[metric] + _total(cell, _FLOPS) // quarter for cell in cells]
    return np.array(params, dtype=np.int64), np.array(flops, dtype=np.int64)


def _total(cell: Architecture, costs: dict[str, int]) -> int:
    return sum(costs.get(operation, 0) for operation in cell.spec.values())
