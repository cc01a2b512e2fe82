"""From raw examples to train, validation and test parts, standardised."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitruvius.errors import ConfigError
from vitruvius.tasks.task import Split, Splits

SPLIT_SEED = 0
HELD_OUT = 0.15  # share of the examples for validation, and as much again for test
MIN_PER_CLASS = 5

Indices = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Checked examples before the split; `test` where the data come with a test part."""

    learn: Split
    test: Split | None = None


def split(examples: Examples, *, samples: int | None = None) -> Splits:
    """Returns the fixed, stratified split, standardised per channel by the training part.

    The same examples give the same split, always: the seed is `SPLIT_SEED`. Labels become
    0 ... K-1 in increasing order. `samples` caps the training part; the other parts keep
    their sizes.

    Raises:
        ConfigError: if a class has fewer than `MIN_PER_CLASS` examples, the test part has a
            label that the rest lacks, or `samples` leaves a class without examples.
    """
    classes, labels, counts = np.unique(
        examples.learn.labels, return_inverse=True, return_counts=True
    )
    if len(classes) < 2:
        raise ConfigError(f"expected at least 2 classes, got {len(classes)}: {classes.tolist()}")
    if counts.min() < MIN_PER_CLASS:
        raise ConfigError(
            f"too few examples: class {classes[counts.argmin()]} has {counts.min()}, "
            f"each class needs at least {MIN_PER_CLASS}"
        )
    learn = Split(inputs=examples.learn.inputs, labels=labels.astype(np.int64))
    rng = np.random.default_rng(SPLIT_SEED)
    everything = np.arange(len(labels), dtype=np.int64)
    valid, train = draw(everything, learn.labels, HELD_OUT, rng)
    if examples.test is None:
        # HELD_OUT of the whole, drawn from what validation left
        held, train = draw(train, learn.labels, HELD_OUT / (1 - HELD_OUT), rng)
        test = take(learn, held)
    else:
        test = _relabelled(examples.test, classes)
    if samples is not None and samples < len(train):
        if samples < len(classes):
            raise ConfigError(f"expected samples of at least {len(classes)}, got {samples}")
        train, _ = draw(train, learn.labels, samples / len(train), rng)
    return standardised(Splits(train=take(learn, train), valid=take(learn, valid), test=test))


def draw(
    indices: Indices, labels: NDArray[np.int64], share: float, rng: np.random.Generator
) -> tuple[Indices, Indices]:
    """Returns a stratified draw of `indices` and the rest, both in increasing order.

    Each class gives `share` of its members, rounded, at least one.
    """
    drawn: list[Indices] = []
    for label in np.unique(labels[indices]):
        members = rng.permutation(indices[labels[indices] == label])
        drawn.append(members[: max(1, round(share * len(members)))])
    chosen = np.sort(np.concatenate(drawn))
    return chosen, np.setdiff1d(indices, chosen)


def take(part: Split, indices: Indices) -> Split:
    """Returns the named rows of a part."""
    return Split(inputs=part.inputs[indices], labels=part.labels[indices])


def standardised(splits: Splits) -> Splits:
    """Returns the parts with zero mean and unit deviation per channel of the training part."""
    inputs = splits.train.inputs
    axes = (0, *range(2, inputs.ndim))
    # sums in float64, arrays in float32: a float64 copy of a large dataset would double its memory
    mean = inputs.mean(axis=axes, keepdims=True, dtype=np.float64).astype(np.float32)
    variance = np.square(inputs - mean).mean(axis=axes, keepdims=True, dtype=np.float64)
    deviation = np.sqrt(variance).astype(np.float32)
    deviation[deviation == 0.0] = 1.0  # a constant channel stays at zero

    def scaled(part: Split) -> Split:
        return Split(inputs=(part.inputs - mean) / deviation, labels=part.labels)

    return Splits(train=scaled(splits.train), valid=scaled(splits.valid), test=scaled(splits.test))


def _relabelled(part: Split, classes: NDArray[np.int64]) -> Split:
    unknown = np.setdiff1d(part.labels, classes)
    if len(unknown):
        raise ConfigError(
            f"the test part has labels that the training part lacks: {unknown[:5].tolist()}"
        )
    return Split(inputs=part.inputs, labels=np.searchsorted(classes, part.labels).astype(np.int64))
