"""Scores of the loss's gradients at initialisation.

Conventions of SamsungLabs/zero-cost-nas (Abdelfattah et al. 2021, arXiv:2101.08134): sums over the
weights of convolutions and linear layers; biases and normalisations take no part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vitruvius.tools.proxies.formula import Formula

if TYPE_CHECKING:
    from torch import Tensor

    from vitruvius.tools.passes.probe import Probe


def grad_norm(probe: Probe) -> float:
    """Sum over layers of the Euclidean norm of the weight's gradient.

    Abdelfattah et al. 2021, arXiv:2101.08134, sec. 3. Published direction: higher.
    """
    return sum(float(gradient.norm()) for _, gradient in probe.gradients)


def snip(probe: Probe) -> float:
    """Sum of |weight x gradient|: Lee et al. 2019, arXiv:1810.02340, eq. 4.

    Published direction: higher.
    """
    return sum(float((weight * gradient).abs().sum()) for weight, gradient in probe.gradients)


def plain(probe: Probe) -> float:
    """Sum of weight x gradient, signs and all: by how much the loss grows with all weights.

    Abdelfattah et al. 2021, arXiv:2101.08134, `plain.py` of their code. Published direction:
    higher. Layers before a normalisation add nothing but rounding, for their scale does not matter.
    """
    return sum(float(_product(weight, gradient)) for weight, gradient in probe.gradients)


def l2(probe: Probe) -> float:
    """Sum over layers of the Euclidean norm of the weight. Published direction: higher.

    Abdelfattah et al. 2021, arXiv:2101.08134, `l2_norm.py` of their code.
    """
    from vitruvius.tools.passes.copies import weight_of, weighted_layers

    return sum(float(weight_of(layer).detach().norm()) for layer in weighted_layers(probe.network))


def fisher(probe: Probe) -> float:
    """Half the mean, over examples, of (sum over positions of output x gradient) squared.

    Summed over the channels of every convolution's and linear layer's output; positions are those
    of all its uses, steps of a recurrent network included. Theis et al. 2018, arXiv:1801.05787;
    Turner et al. 2020, arXiv:1906.04113. Published direction: higher. The gradient is that of the
    mean loss, as published.
    """
    sums: dict[int, Tensor] = {}
    n = len(probe.inputs)
    for call, slope in zip(probe.record.layers, probe.loss.outputs, strict=True):
        products = call.by_example(call.given.detach() * slope.detach(), n).sum(dim=1)  # [B, C]
        key = id(call.module)
        sums[key] = sums[key] + products if key in sums else products
    return sum(float(each.double().square().mean(dim=0).sum()) for each in sums.values()) / 2


def grasp(probe: Probe) -> float:
    """Minus the sum of weight x (Hessian x gradient): Wang et al. 2020, arXiv:2002.07376, sec. 4.

    Summed over all weights as in zero-cost-nas. Published direction: higher.
    """
    return -sum(float(_product(weight, bent)) for weight, bent in probe.curvature)


def _product(first: Tensor, second: Tensor) -> Tensor:
    return (first.detach() * second.detach()).double().sum()


GRADIENT_SCORES = (
    Formula(
        name="grad_norm",
        description="size of the loss gradient at initialisation; convolutions and linear layers",
        needs_data=True,
        needs_labels=True,
        passes=("graph",),
        formula=grad_norm,
    ),
    Formula(
        name="snip",
        description="how much the loss hangs on single weights at initialisation; convolutions "
        "and linear layers",
        needs_data=True,
        needs_labels=True,
        passes=("graph",),
        formula=snip,
    ),
    Formula(
        name="plain",
        description="by how much the loss grows with all weights; convolutions and linear layers",
        needs_data=True,
        needs_labels=True,
        passes=("graph",),
        formula=plain,
    ),
    Formula(
        name="l2",
        description="size of the initial weights; convolutions and linear layers",
        needs_data=False,
        formula=l2,
    ),
    Formula(
        name="fisher",
        description="how much the loss hangs on single channels; convolutions and linear layers",
        needs_data=True,
        needs_labels=True,
        passes=("graph",),
        formula=fisher,
    ),
    Formula(
        name="grasp",
        description="by how much one step changes the size of the gradient; convolutions and "
        "linear layers",
        needs_data=True,
        needs_labels=True,
        passes=("graph", "curvature"),
        formula=grasp,
    ),
)
