"""From whatever arrays came in to checked examples [N, C, L] or [N, C, H, W], split in three.

The parts are for training, validation and test, standardised by the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vitruvius.errors import ConfigError
from vitruvius.tasks.task import Split, Splits

Kind = Literal["image", "sequence"]
SEQUENCE_ASPECT = 4  # [N, A, B] with B of at least this many times A reads as a sequence

SPLIT_SEED = 0  # of the task and not of a run: results of all runs compare
HELD_OUT = 0.15  # share of the examples for validation, and as much again for test
MIN_PER_CLASS = 5  # validation and test get one each at least, and training keeps three

Indices = NDArray[np.int64]


def check_examples(inputs: Any, labels: Any, origin: str, kind: Kind | None = None) -> Split:
    """Returns inputs as float32 [N, C, L] or [N, C, H, W] and labels as int64 [N].

    Two dimensions are sequences of one channel; three are grey images [N, H, W], or sequences
    [N, C, L] where L is at least `SEQUENCE_ASPECT` times C (`kind` settles it); four are images
    with channels first, or last where only the last dimension is 1 or 3.

    Raises:
        ConfigError: names `origin` and says what is wrong: shapes, counts, labels that are not
            integers, values that are not finite.
    """
    x, y = _array(inputs, f"inputs of {origin}"), _array(labels, f"labels of {origin}")
    if x.dtype.kind not in "fiub":
        raise ConfigError(f"inputs of {origin} must be numbers, got {x.dtype}")
    if y.ndim != 1:
        raise ConfigError(
            f"labels of {origin} must be one integer per example, shape [N], got shape {y.shape}"
        )
    if x.ndim < 2 or len(x) != len(y) or not x.size:
        raise ConfigError(
            f"{origin} must have as many inputs as labels, and some: "
            f"got inputs of shape {x.shape} and labels of shape {y.shape}"
        )
    if y.dtype.kind not in "iub" and not (y.dtype.kind == "f" and bool(np.all(y % 1 == 0))):
        raise ConfigError(
            f"labels of {origin} must be integers, got {y.dtype} such as {y[0].item()!r}"
        )
    shaped = _with_channels(x, origin, kind).astype(np.float32)
    finite = np.isfinite(shaped).reshape(len(shaped), -1).all(axis=1)
    if not finite.all():
        raise ConfigError(
            f"inputs of {origin} must be finite: {int((~finite).sum())} examples hold NaN or "
            f"infinity, the first is number {int(finite.argmin())}"
        )
    return Split(inputs=shaped, labels=y.astype(np.int64))


def _array(data: Any, what: str) -> NDArray[Any]:
    """Returns the data (array, list, CPU tensor) as an array."""
    try:
        return np.asarray(data)
    except (ValueError, TypeError, RuntimeError) as error:  # ragged lists, tensors with gradients
        raise ConfigError(f"{what} cannot be read as an array: {error}") from error


def _with_channels(x: NDArray[Any], origin: str, kind: Kind | None) -> NDArray[Any]:
    if x.ndim == 2 and kind != "image":
        return x[:, None]
    if x.ndim == 3:
        is_sequence = x.shape[2] >= SEQUENCE_ASPECT * x.shape[1]
        return x if (kind or ("sequence" if is_sequence else "image")) == "sequence" else x[:, None]
    if x.ndim == 4 and kind != "sequence":
        is_last = x.shape[3] in (1, 3) and x.shape[1] not in (1, 3)
        return np.moveaxis(x, 3, 1) if is_last else x
    raise ConfigError(
        f"inputs of {origin} must be sequences [N, L] or [N, C, L], or images [N, H, W] or "
        f"[N, C, H, W], got shape {x.shape}" + (f" with kind={kind}" if kind else "")
    )


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
    # one stream: `samples` is drawn last, so that the held-out parts never change with it
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
