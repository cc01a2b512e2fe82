"""Data that need no download: scikit-learn's digits and MNIST-1D."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from itertools import pairwise

import numpy as np

from vitruvius.errors import ConfigError
from vitruvius.spaces.space import SearchSpace
from vitruvius.tasks.data.datasets import DatasetTask, from_examples
from vitruvius.tasks.data.examples import Examples, check_examples, standardised
from vitruvius.tasks.options import Options
from vitruvius.tasks.task import Split, Splits

MNIST1D_HELD_OUT = 2000  # examples in the validation and as many in the test part
MNIST1D_SEED = 42  # the package's own
MNIST1D_CLASSES = 10

MNIST1D_SAMPLES = 4000  # as many as the package's own training part
MNIST1D_MOST = 1_000_000  # 160 MB as float32

_GLOBAL_RANDOM = threading.Lock()


def load_mnist1d(ref: str, options: Options, _: SearchSpace | None) -> DatasetTask:
    """Returns MNIST-1D; the option `samples` says how many training examples are made."""
    recipe, constraints = options.recipe(), options.constraints()
    samples = options.whole("samples") or MNIST1D_SAMPLES
    options.done()
    if not MNIST1D_CLASSES <= samples <= MNIST1D_MOST:
        raise ConfigError(
            f"mnist1d makes {MNIST1D_CLASSES} to {MNIST1D_MOST:,} training examples, "
            f"got samples={samples}"
        )
    return DatasetTask(
        name="mnist1d",
        ref=ref,
        about="MNIST-1D, noisy one-dimensional digits, generated on this machine",
        identity=f"mnist1d:{MNIST1D_SEED}:{MNIST1D_HELD_OUT}:{samples}",
        read=partial(generate_mnist1d, samples),
        recipe=recipe,
        constraints=constraints,
    )


def load_digits(ref: str, options: Options, _: SearchSpace | None) -> DatasetTask:
    """Returns the digits; the option `samples` says how many are used."""
    recipe, constraints = options.recipe(), options.constraints()
    samples = options.whole("samples")
    options.done()
    return from_examples(
        read_digits(),
        name="digits",
        ref=ref,
        about="scikit-learn's handwritten digits of 8 x 8 pixels",
        samples=samples,
        recipe=recipe,
        constraints=constraints,
    )


def read_digits() -> Examples:
    """Returns scikit-learn's 1,797 digits, [N, 1, 8, 8]."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    return Examples(learn=check_examples(digits.images, digits.target, "digits"))


@lru_cache(maxsize=4)
def generate_mnist1d(samples: int) -> Splits:
    """Returns MNIST-1D with `samples` training examples, [N, 1, 40], made by its own generator.

    Greydanus & Kobak 2020, arXiv:2011.14439; templates and transforms are those of the package
    `mnist1d`, so nothing is downloaded. Classes are balanced. The held-out parts come first from
    the random stream, so they are the same for every `samples`.
    """
    from mnist1d.data import get_dataset_args, get_templates
    from mnist1d.transform import transform

    templates, arguments = get_templates(), get_dataset_args()
    labels = np.arange(2 * MNIST1D_HELD_OUT + samples, dtype=np.int64) % MNIST1D_CLASSES
    with _seeded_global_random(MNIST1D_SEED):
        inputs = np.stack(
            [transform(templates["x"][label], templates["t"], arguments)[0] for label in labels]
        ).astype(np.float32)[:, None]
    bounds = (0, MNIST1D_HELD_OUT, 2 * MNIST1D_HELD_OUT, len(labels))
    valid, test, train = (
        Split(inputs=inputs[a:b], labels=labels[a:b]) for a, b in pairwise(bounds)
    )
    return standardised(Splits(train=train, valid=valid, test=test))


@contextmanager
def _seeded_global_random(seed: int) -> Iterator[None]:
    """Seeds numpy's global generator, which `mnist1d` draws from, and puts its state back."""
    with _GLOBAL_RANDOM:
        state = np.random.get_state()  # noqa: NPY002
        try:
            np.random.seed(seed)  # noqa: NPY002
            yield
        finally:
            np.random.set_state(state)  # noqa: NPY002
