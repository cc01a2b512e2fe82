"""A task's splits as tensors on the device where networks are trained."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vitruvius.errors import ConfigError
from vitruvius.tasks.task import Split, Splits

SUBSET_SEED = 20_201  # a fraction of the data is the same examples for every trial


@dataclass(frozen=True, kw_only=True)
class Examples:
    """A split on its device: inputs [N, *input_shape]; labels [N] or, per token, [N, T]."""

    inputs: Tensor
    labels: Tensor

    @classmethod
    def of(cls, split: Split, device: torch.device) -> Examples:
        return cls(
            inputs=torch.as_tensor(split.inputs, dtype=_kind(split)).to(device),
            labels=torch.as_tensor(split.labels, dtype=torch.int64).to(device),
        )

    def fraction(self, share: float) -> Examples:
        """Returns `share` of the examples, at least one, always the same.

        Of windows of a text the first ones, as if the text were shorter; of other examples the
        first in a shuffled order.
        """
        if share >= 1.0:
            return self
        if self.labels.dim() > 1:
            first = slice(max(1, round(share * len(self.labels))))
            return Examples(inputs=self.inputs[first], labels=self.labels[first])
        generator = torch.Generator().manual_seed(SUBSET_SEED)
        order = torch.randperm(len(self.labels), generator=generator)
        chosen = order[: max(1, round(share * len(order)))].to(self.labels.device)
        return Examples(inputs=self.inputs[chosen], labels=self.labels[chosen])


@dataclass(frozen=True, kw_only=True)
class Data:
    """The three splits on one device."""

    train: Examples
    valid: Examples
    test: Examples

    @classmethod
    def of(cls, splits: Splits, device: torch.device) -> Data:
        return cls(
            train=Examples.of(splits.train, device),
            valid=Examples.of(splits.valid, device),
            test=Examples.of(splits.test, device),
        )


def pick_device(wanted: str | None = None) -> torch.device:
    """Returns the device to train on: the one wanted, else cuda, mps or cpu, in that order.

    Raises:
        ConfigError: if the wanted device cannot be used here.
    """
    if wanted is None or wanted == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(wanted)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"expected a usable torch device, got {wanted!r}: {error}") from error
    return device


def _kind(split: Split) -> torch.dtype:
    """Returns int64 for tokens, float32 for every other number."""
    return torch.int64 if np.issubdtype(split.inputs.dtype, np.integer) else torch.float32
