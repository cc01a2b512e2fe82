"""From whatever arrays came in to checked examples [N, C, L] or [N, C, H, W]."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vitruvius.errors import ConfigError
from vitruvius.tasks.task import Split

Kind = Literal["image", "sequence"]
SEQUENCE_ASPECT = 4  # [N, A, B] with B of at least this many times A reads as a sequence


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
