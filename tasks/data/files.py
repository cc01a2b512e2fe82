"""Readers of data on disk: folders of idx files (the format of MNIST) and .npz archives."""

from __future__ import annotations

import gzip
import re
import zipfile
import zlib
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
from numpy.typing import NDArray

from vitruvius.errors import ConfigError
from vitruvius.spaces.space import SearchSpace
from vitruvius.tasks.data.datasets import DatasetTask, from_examples
from vitruvius.tasks.data.examples import Examples, Kind, check_examples
from vitruvius.tasks.options import Options

_IDX_NAME = re.compile(
    r"^(?P<part>.*?)[-_.]?(?P<what>images|labels)[-_.]?(idx\d)?[-_.]?(ubyte)?(\.idx)?(\.gz)?$"
)
_IDX_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_INPUT_KEYS = ("inputs", "images", "x", "X", "data")
_LABEL_KEYS = ("labels", "label", "y", "Y", "target", "targets")


def load_files(ref: str, options: Options, _: SearchSpace | None) -> DatasetTask:
    """Returns the task of an idx folder or an .npz archive, as `read_path` reads it."""
    path, recipe, constraints = options.path(), options.recipe(), options.constraints()
    samples = options.whole("samples")
    kind = cast("Kind | None", options.one_of("kind", get_args(Kind), None))
    options.done()
    return from_examples(
        read_path(path, kind),
        name=re.sub(r"[^\w.-]+", "-", path.name.removesuffix(".npz")),
        ref=ref,
        about=f"data from {path.name}",
        samples=samples,
        recipe=recipe,
        constraints=constraints,
    )


def read_path(path: Path, kind: Kind | None = None) -> Examples:
    """Returns the examples of an idx folder or an .npz archive.

    idx: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and, where present, `t10k-` or
    `test-` files as the test part; `.gz` or not. npz: inputs under one of `_INPUT_KEYS`, labels
    under one of `_LABEL_KEYS`, with `_train` and `_test` (or `train_`, `test_`) where the archive
    has its own test part. Pickled objects are refused.

    Raises:
        ConfigError: if there is nothing there, or it cannot be read.
    """
    if path.is_dir():
        return _read_idx_folder(path, kind)
    if not path.is_file():
        raise ConfigError(f"there is no data at {path}: expected a folder of idx files or an .npz")
    if path.suffix != ".npz":
        raise ConfigError(f"expected a folder of idx files or an .npz file, got {path}")
    return _read_npz(path, kind)


def read_idx(path: Path) -> NDArray[Any]:
    """Returns the array of one idx file, gzipped or not.

    Raises:
        ConfigError: if the file is not idx or is cut off.
    """
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigError(f"cannot read {path}: {error}") from error
    if len(raw) < 4 or raw[:2] != b"\0\0" or raw[2] not in _IDX_TYPES:
        raise ConfigError(f"{path} is not an idx file: it begins with {raw[:4].hex()!r}")
    dtype, head = np.dtype(_IDX_TYPES[raw[2]]), 4 + 4 * raw[3]
    shape = tuple(int(n) for n in np.frombuffer(raw[4:head], dtype=">u4"))
    expected = head + dtype.itemsize * int(np.prod(shape, dtype=np.int64))
    if len(shape) != raw[3] or len(raw) != expected:
        raise ConfigError(
            f"{path} is damaged: its head says shape {shape}, {expected} bytes; it has {len(raw)}"
        )
    return np.frombuffer(raw[head:], dtype=dtype).reshape(shape)


def _idx_files(folder: Path) -> dict[tuple[str, str], Path]:
    """Returns the idx files by part (`train` or `test`) and content (`images` or `labels`)."""
    found: dict[tuple[str, str], Path] = {}
    for file in sorted(folder.iterdir()):
        match = _IDX_NAME.match(file.name)
        if match is None or not file.is_file():
            continue
        part = "test" if match["part"] in ("t10k", "test") else match["part"] or "train"
        found.setdefault((part, match["what"]), file)  # raw sorts before its .gz twin
    return found


def _read_idx_folder(folder: Path, kind: Kind | None) -> Examples:
    files = _idx_files(folder)
    if ("train", "images") not in files or ("train", "labels") not in files:
        raise ConfigError(
            f"expected train-images-idx3-ubyte and train-labels-idx1-ubyte (or .gz) in {folder}, "
            f"found {', '.join(file.name for file in files.values()) or 'no idx files'}"
        )
    has_test = ("test", "images") in files and ("test", "labels") in files
    parts = {
        part: check_examples(
            read_idx(files[part, "images"]),
            read_idx(files[part, "labels"]),
            str(files[part, "images"]),
            kind,
        )
        for part in (("train", "test") if has_test else ("train",))
    }
    return Examples(learn=parts["train"], test=parts.get("test"))


def _read_npz(path: Path, kind: Kind | None) -> Examples:
    try:
        # opened here, because np.load leaves a file open that is no archive
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ConfigError(f"cannot read {path}: {error}") from error
    for pattern in ("{}_train", "train_{}", "{}"):
        x, y = _named(arrays, pattern, _INPUT_KEYS), _named(arrays, pattern, _LABEL_KEYS)
        if x is None or y is None:
            continue
        held = pattern.replace("train", "test")
        test_x, test_y = _named(arrays, held, _INPUT_KEYS), _named(arrays, held, _LABEL_KEYS)
        learn = check_examples(x, y, str(path), kind)
        if held == pattern or test_x is None or test_y is None:
            return Examples(learn=learn)
        return Examples(learn=learn, test=check_examples(test_x, test_y, f"{path} (test)", kind))
    raise ConfigError(
        f"expected arrays named inputs and labels (or x and y, with _train and _test where there "
        f"are two parts) in {path}, found {', '.join(arrays) or 'none'}"
    )


def _named(
    arrays: dict[str, NDArray[Any]], pattern: str, keys: tuple[str, ...]
) -> NDArray[Any] | None:
    return next((arrays[n] for k in keys if (n := pattern.format(k)) in arrays), None)
