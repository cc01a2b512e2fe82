"""Scores of the gradients of the loss, and of single examples' outputs, at initialisation.

Those of the loss follow SamsungLabs/zero-cost-nas (Abdelfattah et al. 2021, arXiv:2101.08134): sums
over the weights of convolutions and linear layers; biases and normalisations take no part.
"""

from __future__ import annotations

import math
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


def ntk_condition(probe: Probe) -> float:
    """Minus the tangent kernel's largest eigenvalue over its smallest.

    Chen et al. 2021, arXiv:2102.11535, sec. 3.1.1; published direction: lower, hence the minus.
    Over at most 32 examples and their summed outputs. Batch statistics are constants: see
    `example_gradients.tangent_kernel`. A singular kernel gives minus infinity.
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
