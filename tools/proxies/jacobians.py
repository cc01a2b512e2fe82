"""Scores of the gradients with respect to the entry: inputs, or embedded tokens.

The published ones differentiate the summed representation. Where that comes out of a layer
normalisation, the sum is constant and the gradient rounding noise (sum of |weight x gradient| on
one layer: 4.5e-4 in float32, 1.1e-12 in float64). The corrected ones differentiate the summed
outputs, one linear layer further on; for networks that announce no representation both agree.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from vitruvius.tools.proxies.formula import Formula
from vitruvius.tools.proxies.spectra import correlation_score, cosine_score

if TYPE_CHECKING:
    from torch import Tensor

    from vitruvius.tools.passes.example_gradients import Jacobian
    from vitruvius.tools.passes.probe import Probe

LARGE = 10.0  # factor of the noise, one of `example_gradients.SCALES`

Score = Callable[["Probe", float], float]


def covariance(probe: Probe, noise: float = 0.0) -> float:
    """S of the examples' gradients: Mellor et al. 2021, arXiv:2006.04647v1 (version 1).

    Published direction: higher. For S see `spectra.correlation_score`; an example without any
    gradient is a direction lost.
    """
    found = probe.jacobian("outputs", noise)
    return _once(found, "covariance", lambda: correlation_score(_rows(found.entry)))


def cosine(probe: Probe, noise: float = 0.0) -> float:
    """Cos of the examples' gradients, see `spectra.cosine_score`. Published direction: higher."""
    found = probe.jacobian("outputs", noise)
    return _once(found, "cosine", lambda: cosine_score(_rows(found.entry)))


def covariance_published(probe: Probe, noise: float = 0.0) -> float:
    """S as in aaronserianni/training-free-nas. Published direction: higher.

    Recurrent networks: examples are rows, the summed representation is differentiated. Networks
    that announce a transformer's parts: rows are the embedding's dimensions, columns the
    positions, summed over the batch (the gradient of a table of positions).

    The values stored for recurrent networks are not of this form: they lie between -71.2 and
    -71.0, one value for each number of parameters, as S of the embedded words with steps as rows
    does, whose draw hangs on how many parameters were drawn before. The noised scores stored
    beside them hold the right ones.
    """
    found, rows = _published(probe, noise)
    return _once(
        found, "covariance_published", lambda: correlation_score(rows(), counts_constant=False)
    )


def cosine_published(probe: Probe, noise: float = 0.0) -> float:
    """Cos of the same rows. Published direction: higher."""
    found, rows = _published(probe, noise)
    return _once(found, "cosine_published", lambda: cosine_score(rows()))


def large_noise(score: Score, probe: Probe) -> float:
    """1 - |score - score under noise of factor 10|.

    Serianni & Kalita 2023, arXiv:2306.00288. Published direction: of covariances higher, of
    cosines lower (there it grows with the loss), hence the minus in front of these. What is stored
    of covariances is the absolute value, |1 - |difference||, which grows with the loss: nearly all
    differences are above 1.
    """
    return 1 - abs(score(probe, 0.0) - score(probe, LARGE))


def more_noised(score: Score, probe: Probe) -> float:
    """Product of the score and those under noise of factors 0.1, 10 and 100.

    Serianni & Kalita 2023, arXiv:2306.00288. Published direction: of cosines higher; of
    covariances, whose product of four negative numbers is positive, lower.
    """
    product = score(probe, 0.0)
    for scale in (0.1, 10.0, 100.0):
        product *= score(probe, scale)
    return product


def _once(found: Jacobian, name: str, score: Callable[[], float]) -> float:
    """Returns a score of a Jacobian; six proxies share it."""
    if name not in found.known:
        found.known[name] = score()
    return found.known[name]


def _rows(gradient: Tensor) -> Tensor:
    from vitruvius.tools.passes.copies import DoesNotApply

    if len(gradient) < 2:
        raise DoesNotApply("it needs two examples at least")
    return gradient.flatten(1)


def _published(probe: Probe, noise: float) -> tuple[Jacobian, Callable[[], Tensor]]:
    found = probe.jacobian("targets", noise)
    is_transformer = any(hasattr(layer, "part") for layer in probe.graph.layers)
    if found.entry.dim() == 3 and is_transformer:
        return found, lambda: found.entry.sum(dim=0).T  # [D, T]
    return found, lambda: _rows(found.entry)


def _formulas(ending: str, covariances: Score, cosines: Score) -> tuple[Formula, ...]:
    words = "as published; any network" if ending else "any network of numbers or embedded tokens"
    rows: tuple[tuple[str, str, Callable[[Probe], float]], ...] = (
        (
            "jacobian_covariance",
            "how independent the examples' input gradients are",
            lambda probe: covariances(probe, 0.0),
        ),
        (
            "jacobian_cosine",
            "how orthogonal the examples' input gradients are",
            lambda probe: cosines(probe, 0.0),
        ),
        (
            "large_noise_jacobian_covariance",
            "by how little large noise changes jacobian_covariance",
            lambda probe: large_noise(covariances, probe),
        ),
        (
            "large_noise_jacobian_cosine",
            "by how much large noise changes jacobian_cosine",
            lambda probe: -large_noise(cosines, probe),
        ),
        (
            "more_noised_jacobian_covariance",
            "minus the product of jacobian_covariance under four noises",
            lambda probe: -more_noised(covariances, probe),
        ),
        (
            "more_noised_jacobian_cosine",
            "product of jacobian_cosine under four noises",
            lambda probe: more_noised(cosines, probe),
        ),
    )
    return tuple(
        Formula(
            name=name + ending,
            description=f"{what}; {words}",
            needs_data=True,
            passes=("graph",),
            formula=formula,
        )
        for name, what, formula in rows
    )


JACOBIAN_SCORES = (
    *_formulas("", covariance, cosine),
    *_formulas("_published", covariance_published, cosine_published),
)
