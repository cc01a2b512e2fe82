"""Scores of the tangent kernel: inner products of the examples' gradients."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from vitruvius.tools.proxies.formula import Formula

if TYPE_CHECKING:
    from vitruvius.tools.passes.probe import Probe


def ntk_condition(probe: Probe) -> float:
    """Minus the tangent kernel's largest eigenvalue over its smallest.

    Chen et al. 2021, arXiv:2102.11535, sec. 3.1.1; published direction: lower, hence the minus.
    Over at most 32 examples and their summed outputs. Batch statistics are constants: see
    `kernels.tangent_kernel`. A singular kernel gives minus infinity.
    """
    import torch

    if not bool(torch.isfinite(probe.kernel).all()):
        return math.nan  # an example's gradient has exploded
    values = torch.linalg.eigvalsh(probe.kernel)  # rising
    rounding = torch.finfo(torch.float32).eps * float(values[-1])  # gradients are float32
    return -float(values[-1] / values[0]) if values[0] > rounding else -math.inf


def lga(probe: Probe) -> float:
    """Correlation of the tangent kernel's entries with whether two examples have equal labels.

    Label-gradient alignment: Mok et al. 2022, arXiv:2203.14577: both matrices less their
    means, inner product over the norms. Published direction: higher; published for networks
    after a little training. Over at most 32 examples, with one label each.

    Raises:
        DoesNotApply: if every token has a label, or all examples have the same.
    """
    from vitruvius.tools.passes.copies import DoesNotApply

    if probe.labels.dim() != 1:
        raise DoesNotApply("it needs one label an example")
    kernel = probe.kernel
    labels = probe.labels[: len(kernel)]
    equal = (labels[:, None] == labels[None, :]).to(kernel)
    kernel, equal = kernel - kernel.mean(), equal - equal.mean()
    if not bool(equal.any()):
        raise DoesNotApply("it needs examples of different labels")
    return float((kernel * equal).sum() / (kernel.norm() * equal.norm()))


KERNEL_SCORES = (
    Formula(
        name="ntk_condition",
        description="how evenly gradient descent would learn the examples; convolutions and "
        "linear layers",
        needs_data=True,
        passes=("graph",),
        formula=ntk_condition,
    ),
    Formula(
        name="lga",
        description="whether gradients are alike where labels are; one label an example",
        needs_data=True,
        needs_labels=True,
        passes=("graph",),
        formula=lga,
    ),
)
